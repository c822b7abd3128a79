"""What an artifact was made of, and in what two differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irnet_pipe.artifact_files import artifact_file, shards_of, size_text
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.data.image_list import read_list
from irnet_pipe.differences import (
    LIST,
    Difference,
    compare_lists,
    differences,
    leaves,
    settings,
    value_text,
)
from irnet_pipe.errors import InputError
from irnet_pipe.recipes import RECIPES, Parent, Record, read_record, record_path
from irnet_pipe.stage_table import STAGES, TRAINED

INDENT = "  "


@dataclass(frozen=True)
class Subject:
    """A file that somebody asks about: an artifact, or the record of one.

    Attributes:
        path: of the artifact, which may be lost.
        results: folder of the artifacts.
        record: its recipe; None where there is no record.
    """

    path: Path
    results: Path
    record: Record | None


def subject(path: Path) -> Subject:
    """Find the record that belongs to a file.

    Raises:
        InputError: neither the file nor a record of it is there, or the record is damaged.
    """
    results = path.parent.parent
    if path.parent.name == RECIPES:
        record = read_record(path)
        return Subject(results / record.path, results, record)
    file = artifact_file(path)
    if file is not None and record_path(results, file.recipe).exists():
        return Subject(path, results, read_record(record_path(results, file.recipe)))
    if not path.is_file():
        raise InputError(f"{path}: no such file, and no record of it; give the path of an artifact")
    return Subject(path, results, None)


def describe(path: Path) -> Iterator[str]:
    """Recipe and parents of an artifact by its record, what the file itself states, and whether they agree.

    Raises:
        InputError: see `subject`; or the file is damaged.
    """
    from irnet_pipe.artifacts.headers import read_header

    asked = subject(path)
    header = read_header(asked.path)
    yield f"{asked.path}: {_size(asked.path)}"
    if asked.record is None:
        yield "no record of it"
    else:
        yield from _recipe(asked.results, asked.record)
    if header:
        yield "the file states"
        yield from _table(_without_record(header) if asked.record else leaves(header))
    if header and asked.record:
        yield _agreement(asked.record, header)


def described(path: Path) -> dict[str, Any]:
    """As `describe`, as plain JSON; docs/reruns.md describes it.

    Raises:
        InputError: see `describe`.
    """
    from irnet_pipe.artifacts.headers import read_header

    asked = subject(path)
    record = None
    if asked.record is not None:
        record = vars(asked.record) | {"parents": [vars(parent) for parent in asked.record.parents]}
    return {
        "path": str(asked.path),
        "bytes": asked.path.stat().st_size if asked.path.exists() else None,
        "record": record,
        "states": read_header(asked.path),
    }


def _size(path: Path) -> str:
    return size_text(path.stat().st_size) if path.exists() else "not there"


def _recipe(results: Path, record: Record) -> Iterator[str]:
    yield from _table({"stage": record.stage, "recipe": record.recipe, "label": record.label})
    yield "depends on"
    yield from _table(settings(record))
    if record.files:
        yield "files from outside"
        yield from _table(record.files)
    if record.parents:
        yield "parents"
        yield from _table({parent.path: _size(results / parent.path) for parent in record.parents})


def _table(rows: dict[str, Any]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    for key, value in rows.items():
        yield f"{INDENT}{key:<{width}}  {value_text(value)}"


def _without_record(header: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in ("spec", "parents", "history")}


def _agreement(record: Record, header: dict[str, Any]) -> str:
    if TRAINED.get(record.stage) in record.files:
        return f"taken from {record.files[TRAINED[record.stage]]}, whose recipe it states"
    recorded = {
        "recipe": record.recipe,
        "stage": record.stage,
        "unit": record.unit,
        "kind": KIND_OF_STAGE.get(record.stage, header.get("kind")),
        "spec": record.spec,
        "parents": [parent.path for parent in record.parents],
    }
    wrong = [key for key, value in recorded.items() if key in header and header[key] != value]
    if not wrong:
        return "file and record agree"
    told = "; ".join(
        f"{key}: {value_text(header[key])}, recorded {value_text(recorded[key])}" for key in wrong
    )
    return f"file and record DISAGREE: {told}"


def compare(old: Path, new: Path) -> Iterator[str]:
    """In what two artifacts of a stage differ, from the root on: a line for each stage and difference.

    Raises:
        InputError: a record is missing, or the two are of different stages.
    """
    first, second, comparison = _compare(old, new)
    lines = list(comparison.lines())
    yield from lines or ["the same recipe" if first.recipe == second.recipe else "no difference is recorded"]


def compared(old: Path, new: Path) -> dict[str, Any]:
    """As `compare`, as plain JSON; docs/reruns.md describes it.

    Raises:
        InputError: see `compare`.
    """
    first, second, comparison = _compare(old, new)
    return {
        "recipes": [first.recipe, second.recipe],
        "differences": [
            {"stage": stage, "difference": text, "artifacts": sorted(comparison.found[stage][text])}
            for stage in STAGES
            for text in comparison.found.get(stage, ())
        ],
    }


def _compare(old: Path, new: Path) -> tuple[Record, Record, _Comparison]:
    subjects = [subject(path) for path in (old, new)]
    for asked in subjects:
        if asked.record is None:
            raise InputError(f"{asked.path}: no record of it, so nothing can be compared; give another file")
    first, second = (asked.record for asked in subjects if asked.record)
    if first.stage != second.stage:
        raise InputError(
            f"{new}: made by {second.stage}, the other by {first.stage}; give two artifacts of one stage"
        )
    comparison = _Comparison(subjects[0].results, subjects[1].results)
    comparison.visit(first, second)
    return first, second, comparison


@dataclass
class _Comparison:
    """Walks two recipes up to their roots, pair by pair.

    Attributes:
        old: results folder of the one.
        new: that of the other.
        found: stage → difference → recipes of the artifacts that have it.
        seen: pairs of recipes that were compared.
    """

    old: Path
    new: Path
    found: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def visit(self, old: Record, new: Record) -> None:
        """Note the differences of a pair and of all that it is made of."""
        if old.recipe == new.recipe or (old.recipe, new.recipe) in self.seen:
            return
        self.seen.add((old.recipe, new.recipe))
        for difference in differences(old, new):
            self.note(new, self.text(difference, old, new))
        before, after = self.parents(self.old, old), self.parents(self.new, new)
        shards = [{n for _, unit, _ in keys if (n := shards_of(unit))} for keys in (before, after)]
        for key, above in (before | after).items():
            if key in before and key in after:
                self.visit_parents(before[key], after[key])
            elif all(shards) and shards[0] != shards[1]:
                self.note(above, str(Difference("shards.n", min(shards[0]), min(shards[1]))))
            else:
                self.note(above, f"of the {'second' if key in after else 'first'} alone")

    def visit_parents(self, old: Record | Parent, new: Record | Parent) -> None:
        """Compare a pair of parents, as far as their records are there."""
        if isinstance(old, Record) and isinstance(new, Record):
            self.visit(old, new)
        elif old.recipe != new.recipe:
            self.note(new, "differs, but a record is missing")

    def note(self, artifact: Record | Parent, text: str) -> None:
        """Remember a difference."""
        self.found.setdefault(artifact.stage, {}).setdefault(text, set()).add(artifact.recipe)

    def text(self, difference: Difference, old: Record, new: Record) -> str:
        """A difference; of image lists, what became of the images."""
        if difference.key != LIST:
            return str(difference)
        try:
            before = [entry for path in old.images for entry in read_list(self.old / path)]
            after = [entry for path in new.images for entry in read_list(self.new / path)]
        except InputError:
            return "images: another list"
        return str(compare_lists(before, after))

    def parents(self, results: Path, record: Record) -> dict[tuple[str, str, Any], Record | Parent]:
        """Parents by stage, unit and variant; one without record as it is."""
        found: dict[tuple[str, str, Any], Record | Parent] = {}
        for parent in record.parents:
            try:
                above: Record | Parent = read_record(record_path(results, parent.recipe))
            except InputError:
                above = parent
            variant = above.spec.get("variant") if isinstance(above, Record) else None
            found[parent.stage, parent.unit, variant] = above
        return found

    def lines(self) -> Iterator[str]:
        """Stage by stage in the order of the pipeline."""
        for stage in STAGES:
            for text, recipes in self.found.get(stage, {}).items():
                yield f"{stage}: {text}" + (f" ({len(recipes)} artifacts)" if len(recipes) > 1 else "")
