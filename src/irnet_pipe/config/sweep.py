"""Sweeps: one config that stands for several settings, planned and run together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from irnet_pipe.config.parse import config_value, problem
from irnet_pipe.config.presets import merge
from irnet_pipe.config.sections import Config
from irnet_pipe.data.image_list import digest_text
from irnet_pipe.errors import InputError

MOST_SETTINGS = 256
NOT_SWEPT = ("run", "preset", "sweep", "runtime")
"""Keys, and sections, that are those of the run as a whole."""
LONGEST_NAME = 120
"""Characters of a folder's name; file systems take 255 bytes."""


def settings_of(config: Config) -> tuple[Config, ...]:
    """Every setting of a sweep, the first key changing slowest; the config itself where nothing is swept.

    Returns:
        Configs whose `sweep` holds one value a key: those that are set.

    Raises:
        InputError: an unknown key, a value out of range or given twice, or too many settings.
    """
    count = math.prod(len(values) for values in config.sweep.values())
    if count > MOST_SETTINGS:
        raise InputError(
            f"sweep: {count} settings, at most {MOST_SETTINGS} can be in one run; give fewer values, or several configs"
        )
    for key in config.sweep:
        if key.split(".")[0] in NOT_SWEPT:
            raise InputError(
                f"sweep: {key} belongs to the run as a whole; give it one value, outside of sweep"
            )
    plain = config.model_dump(mode="json")
    chosen = [dict(zip(config.sweep, values, strict=True)) for values in product(*config.sweep.values())]
    problems: list[str] = []
    settings = []
    for values in chosen:
        try:
            settings.append(Config.model_validate(_with(plain, values)))
        except ValidationError as error:
            problems += [problem(f"sweep {values}", item) for item in error.errors()]
    if problems:
        raise InputError(dict.fromkeys(problems))
    named = {setting_name(setting): setting for setting in settings}
    if len(named) < len(settings):
        raise InputError(f"sweep: {config.sweep} holds a value twice; name each once")
    return tuple(settings)


def setting_name(config: Config) -> str:
    """Name of a setting, also of its folder below outputs/<run>/; empty without a sweep."""
    name = ",".join(f"{key}={_word(value)}" for key, value in swept_values(config))
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}-{digest_text(name)}"


def swept_values(config: Config) -> Iterator[tuple[str, Any]]:
    """Swept key → its value in a setting."""
    for key in config.sweep:
        yield key, config_value(config, key)


def _with(plain: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    plain = plain | {"sweep": {key: [value] for key, value in values.items()}}
    for path, value in values.items():
        nested: Any = value
        for key in reversed(path.split(".")):
            nested = {key: nested}
        plain = merge(plain, nested)
    return plain


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(_word, value))
    return quote(value if isinstance(value, str) else json.dumps(value), safe="")
