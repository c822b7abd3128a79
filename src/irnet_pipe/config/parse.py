"""From plain values, as a YAML file or Snakemake gives them, to the typed config; or errors that name the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from irnet_pipe.config.keys import meant_key
from irnet_pipe.config.presets import PRESETS, merge
from irnet_pipe.config.sections import Config, Runtime
from irnet_pipe.errors import InputError
from irnet_pipe.text_files import read_text


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
        values = merge(values, _load_yaml(path))
    return parse_config(values, source=str(paths[-1]) if paths else "config")


class _Loader(yaml.SafeLoader):
    """As yaml.SafeLoader, but a key that a section has twice is an error: the first of them would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value} occurs twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _load_yaml(path: Path) -> dict[str, Any]:
    """Keys and values of a YAML file.

    Raises:
        InputError: it cannot be read, or holds anything else.
    """
    text = read_text(path)
    try:
        loaded = _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise InputError(f"{place}: not valid YAML ({error.problem}); mend the line") from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not valid YAML ({reason}); mend the file") from None
    if loaded is not None and not isinstance(loaded, dict):
        raise InputError(
            f"{path}: holds a {type(loaded).__name__}, expected keys and values such as `run: birds`; "
            "config/README.md lists the keys"
        )
    return loaded or {}


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
        meant = meant_key(item["loc"])
        remedy = f"did you mean {meant}?" if meant else "config/README.md lists the keys"
        if meant == key:  # as in `cam.train.lr: 0.1`
            remedy = "sections are nested: write " + ": {".join(key.split(".")) + ": …" + "}" * key.count(".")
        return f"{source}: {key}: unknown key; {remedy}"
    message = item["msg"].removeprefix("Value error, ")
    value = "" if isinstance(item["input"], dict) else f" is {item['input']!r}:"
    if item["type"] == "value_error":  # our own, which name the remedy
        return f"{source}: {key}: {message}" if key else f"{source}: {message}"
    return f"{source}: {key}{value} {message}; config/README.md has the range and meaning of each key"
