"""Recipes as files: one JSON record per artifact, all that a stage needs to know besides runtime options.

The main process writes the records before the DAG is built. A stage reads plain JSON and imports neither snakemake
nor pydantic; editing the config never breaks a queued job.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.errors import InputError
from irnet_pipe.text_files import replace_text

RECIPES = "recipes"
INDEX = "index"
WORK = "work"
LOGS = "logs"
BENCHMARKS = "benchmarks"
EVENTS = "events"
FACTS = "facts"
PUBLISHED_MASKS, PUBLISHED_SETTINGS = "masks.json", "settings.html"
"""What people open, in the folder of a publication: of a run, and of its settings side by side."""
MARKERS = "recipe-*.json"
"""Beside it the marker of the recipe that it is of, written last."""


@dataclass(frozen=True)
class Parent:
    """An artifact that a stage reads: `path` is relative to the results folder."""

    stage: str
    unit: str
    recipe: str
    path: str


@dataclass(frozen=True)
class Record:
    """The recipe of one artifact.

    Attributes:
        recipe: 16 hex digits.
        stage: the stage that makes it.
        version: of the stage.
        unit: a shard, or `all`.
        label: for people.
        path: of the artifact, relative to the results folder.
        spec: what the stage depends on: `config` (dotted path → value), `files` (path → digest), facts.
        parents: artifacts read.
        images: image lists read, relative to the results folder.
        files: config path → place of a file from outside.
    """

    recipe: str
    stage: str
    version: int
    unit: str
    label: str
    path: str
    spec: dict[str, Any]
    parents: tuple[Parent, ...]
    images: tuple[str, ...]
    files: dict[str, str]

    @property
    def training_threads(self) -> int:
        """Threads of a training on each device; one where a trained network is given and only read."""
        section = self.stage.removeprefix("train_")
        settings: dict[str, int] = self.spec["config"].get(f"{section}.train", {"threads": 1})
        return settings["threads"]


def record_path(results: Path, recipe: str) -> Path:
    """Where the record of a recipe lies."""
    return results / RECIPES / f"{recipe}.json"


def write_record(results: Path, record: Record) -> None:
    """Write a record.

    What is hashed cannot differ under one recipe; label and places of files may, and the newest counts.
    """
    # `dataclasses.asdict` would copy in depth.
    value = vars(record) | {"parents": [vars(parent) for parent in record.parents]}
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = record_path(results, record.recipe)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    replace_text(path, text)


def marker_name(recipe: str) -> str:
    """File that vouches for a publication."""
    return MARKERS.replace("*", recipe)


def published_files(publication: Record) -> tuple[str, str]:
    """Files of a publication that say whether it is there: what people open, and the marker."""
    opened = PUBLISHED_SETTINGS if "settings" in publication.spec else PUBLISHED_MASKS
    return opened, marker_name(publication.recipe)


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        InputError: the file is missing or is no record.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        parents = tuple(Parent(**parent) for parent in value.pop("parents"))
        return Record(**value | {"parents": parents, "images": tuple(value["images"])})
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe; a dry run (`snakemake -n`) writes the recipes") from None
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a recipe of this version ({error}); a dry run writes it anew"
        ) from None


def ancestors(record: Record, results: Path) -> list[Record]:
    """The records of all that an artifact is made of, parents before children."""
    found: dict[str, Record] = {}

    def visit(parents: tuple[Parent, ...]) -> None:
        for parent in parents:
            if parent.recipe not in found:
                above = read_record(record_path(results, parent.recipe))
                visit(above.parents)
                found[parent.recipe] = above

    visit(record.parents)
    return list(found.values())
