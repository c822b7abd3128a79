"""The keys of the typed config, and which one a misspelt one means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from irnet_pipe.config.sections import Config
from irnet_pipe.near_names import nearest


def leaves(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted path and field of every key that is not a section."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def meant_key(location: Sequence[str | int]) -> str | None:
    """The key that an unknown one means: one of its section, else one of this name in another section."""
    *above, name = map(str, location)
    section = _section(above)
    near = nearest(name, list(section.model_fields)) if section else None
    if near is not None:
        return ".".join([*above, near])
    paths = [path for path, _ in leaves() if f".{path}".endswith(f".{name}")]
    within = [path for path in paths if path.startswith(f"{'.'.join(above)}.")]
    found = within or paths
    return found[0] if len(found) == 1 else None


def _section(location: Sequence[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type):
            return None
        model = field.annotation
    return model if issubclass(model, BaseModel) else None
