"""What the sections of the config share: their base class, and types of keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def none_word(value: object) -> object:
    """YAML users write `none` where Python means None."""
    return None if isinstance(value, str) and value.strip().lower() in {"none", "null", ""} else value


def runtime(default: Any, description: str, **bounds: Any) -> Any:
    """A key that changes no result: it stays out of every recipe."""
    return Field(default, description=description, json_schema_extra={"runtime": True}, **bounds)


OptionalText = Annotated[str | None, BeforeValidator(none_word)]
Fraction = Annotated[float, Field(ge=0, le=1)]
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
