"""What the sections of the config share: their base class, and types of keys."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def none_word(value: object) -> object:
    """YAML users write `none` where Python means None."""
    return None if isinstance(value, str) and value.strip().lower() in {"none", "null", ""} else value


def runtime(default: Any, description: str, **bounds: Any) -> Any:
    """A key that changes no result: it stays out of every recipe."""
    return Field(default, description=description, json_schema_extra={"runtime": True}, **bounds)


AUTO: Final = "auto"
"""A threshold that a stage chooses."""


def _number_or_auto(value: object) -> object:
    """One line for what is neither; a union would give one for each."""
    try:
        valid = value == AUTO or 0 <= float(value) <= 1  # type: ignore[arg-type]
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"{value!r} is neither a number from 0 to 1 nor {AUTO}; give one of them")
    return value


OptionalText = Annotated[str | None, BeforeValidator(none_word)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[Fraction | Literal["auto"], BeforeValidator(_number_or_auto)]
Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
Precision = Literal["fp32", "bf16", "fp16"]
Variant = Literal["cam", "affinitynet", "boundary", "full"]
Sweep = Annotated[
    dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]],
    BeforeValidator(lambda value: {} if value is None else value),
]


class Section(BaseModel):
    """A section of the config: unknown keys are refused, values cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
