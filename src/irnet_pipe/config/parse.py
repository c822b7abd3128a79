"""From plain values, as a YAML file or Snakemake gives them, to the typed config; or errors that name the remedy."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from irnet_pipe.config.presets import PRESETS, merge
from irnet_pipe.config.sections import Config, Runtime
from irnet_pipe.errors import InputError


def parse_config(values: dict[str, Any], *, source: str = "config") -> Config:
    """Validate plain values, as Snakemake or a YAML file gives them.

    Args:
        values: nested mapping; numbers may be strings (YAML reads `1e-1` as one).
        source: the file's name, for messages.

    Raises:
        InputError: one problem per wrong key, with value, bound and remedy.
    """
    values = _without_empty_sections(values)
    preset = values.get("preset")
    if isinstance(preset, str) and preset in PRESETS:
        values = merge(PRESETS[preset], values)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(problem(source, item) for item in error.errors()) from None


def parse_runtime(values: dict[str, Any]) -> tuple[str, Runtime]:
    """dataset.root and the runtime section alone: all that a parse on a cluster node reads of a config.

    Raises:
        InputError: one problem per wrong key.
    """
    try:
        runtime_keys = Runtime.model_validate(values.get("runtime") or {})
    except ValidationError as error:
        raise InputError(problem("config: runtime", item) for item in error.errors()) from None
    dataset = values.get("dataset")
    root = dataset.get("root") if isinstance(dataset, dict) else None
    return str(root or "."), runtime_keys


def load_config(*paths: Path) -> Config:
    """Read YAML files; later ones override earlier ones key by key."""
    values: dict[str, Any] = {}
    for path in paths:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); give the path of a config file"
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not valid YAML: {error}; mend the file at the place named") from None
        if loaded is not None and not isinstance(loaded, dict):
            raise InputError(f"{path}: holds {type(loaded).__name__}, expected keys and values")
        values = merge(values, loaded or {})
    return parse_config(values, source=str(paths[-1]) if paths else "config")


def config_value(config: Config, path: str) -> Any:
    """Value at a dotted path, as plain JSON."""
    value: Any = config.model_dump(mode="json")
    for key in path.split("."):
        value = value[key]
    return value


def _without_empty_sections(values: Any, model: type[BaseModel] = Config) -> Any:
    """A section of which all keys are commented out is None in YAML: it has its defaults."""
    if not isinstance(values, dict):
        return values
    sections = {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return {
        key: _without_empty_sections(value, sections[key]) if key in sections else value
        for key, value in values.items()
        if not (value is None and key in sections)
    }


def problem(source: str, item: Any) -> str:
    """What pydantic says of a key, in our words: file, key, value, bound and remedy."""
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        near = _nearest_key(item["loc"])
        remedy = f"did you mean {near}?" if near else "config/README.md lists the keys"
        return f"{source}: {key}: unknown key; {remedy}"
    message = item["msg"].removeprefix("Value error, ")
    value = "" if isinstance(item["input"], dict) else f" is {item['input']!r}:"
    if item["type"] == "value_error":  # our own, which name the remedy
        return f"{source}: {key}: {message}" if key else f"{source}: {message}"
    return f"{source}: {key}{value} {message}; config/README.md has the range and meaning of each key"


def _nearest_key(location: tuple[str | int, ...]) -> str | None:
    model: Any = Config
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            return None
        model = field.annotation
    matches = get_close_matches(str(location[-1]), list(model.model_fields), n=1)
    return ".".join([*map(str, location[:-1]), matches[0]]) if matches else None
