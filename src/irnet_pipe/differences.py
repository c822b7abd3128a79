"""In what two recipes differ: config paths, facts about the data, versions; and image lists image by image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.recipes import Record
from irnet_pipe.stage_table import STAGES

LIST = "list"
"""The fact that is the digest of an image list."""

ABSENT = "–"
LONGEST = 60


@dataclass(frozen=True)
class Difference:
    """One key in which two recipes differ.

    Attributes:
        key: config path, fact such as `classes` or `list`, `version` or `unit`.
        old: JSON value; None where the old recipe has no such key.
        new: likewise.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {value_text(self.old)} → {value_text(self.new)}"


@dataclass(frozen=True)
class ListChange:
    """How many images of a list are new, gone, or changed (photo, size or labels)."""

    new: int
    gone: int
    changed: int

    def __add__(self, other: ListChange) -> ListChange:
        return ListChange(self.new + other.new, self.gone + other.gone, self.changed + other.changed)

    def __str__(self) -> str:
        counts = {"new": self.new, "gone": self.gone, "changed": self.changed}
        told = [f"{count} {word}" for word, count in counts.items() if count]
        return f"images: {', '.join(told) or 'none changed'}"


def settings(record: Record) -> dict[str, Any]:
    """All that a recipe hashes besides its parents, as key → JSON value.

    Keys are dotted config paths, facts about the data, `version` and `unit`. A file from outside stands under its
    config path, as its digest.
    """
    facts = {key: value for key, value in record.spec.items() if key not in ("config", "files")}
    files = {path: f"file {digest}" for path, digest in record.spec["files"].items()}
    return {"unit": record.unit, "version": record.version, **leaves(record.spec["config"]), **files, **facts}


def leaves(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path → value of nested mappings."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= leaves(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return found


def differences(old: Record, new: Record) -> list[Difference]:
    """Keys in which two recipes differ, parents apart, in the order of the new recipe."""
    before, after = settings(old), settings(new)
    keys = dict.fromkeys([*after, *before])
    return [
        Difference(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)
    ]


def changed_parents(old: Record, new: Record) -> tuple[str, ...]:
    """Stages of the parents in which two recipes differ, in the order of the pipeline."""
    before, after = ({(parent.stage, parent.recipe) for parent in record.parents} for record in (old, new))
    stages = {stage for stage, _ in before ^ after}
    return tuple(stage for stage in STAGES if stage in stages)


def compare_lists(old: Sequence[ImageEntry], new: Sequence[ImageEntry]) -> ListChange:
    """What became of the images of a list."""
    before = {entry.image_id: entry for entry in old}
    after = {entry.image_id: entry for entry in new}
    both = before.keys() & after.keys()
    changed = sum(before[image_id] != after[image_id] for image_id in both)
    return ListChange(len(after) - len(both), len(before) - len(both), changed)


def value_text(value: Any) -> str:
    """A JSON value for people, cut where it is long."""
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
