"""What lies in a results folder that none of some runs reaches, and its removal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.artifact_files import artifact_file, own_files, own_folders
from irnet_pipe.recipes import BENCHMARKS, EVENTS, FACTS, INDEX, LOGS, RECIPES, WORK
from irnet_pipe.stage_table import STAGES
from irnet_pipe.workflow import PlannedRun

NAMED_BY_RECIPE = re.compile(r"(?:.*\.)?(?P<recipe>[0-9a-f]{16})\.[a-z]+")
TOLD = (LOGS, BENCHMARKS, EVENTS, FACTS)
"""Folders of what jobs tell about themselves."""

FOLDER_NAME = re.compile(r"[0-9a-f]{16}")
TEMPORARY = re.compile(r"\..+\.\d+(\.tmp)?")
"""Names that writers give their files until these are whole."""

DEAD_AFTER = 24 * 3600
"""Seconds without a write after which a temporary file counts as left behind by a job that was killed."""


@dataclass(frozen=True)
class Garbage:
    """A file, or a folder with its files, that nothing reaches.

    Attributes:
        kind: what it is, for people.
        path: of the file or folder.
        files: all files to be removed.
        size: their bytes.
    """

    kind: str
    path: Path
    files: tuple[Path, ...]
    size: int

    def remove(self) -> None:
        """Remove the files, and the folder if nothing else is in it."""
        for file in self.files:
            file.unlink(missing_ok=True)
        if self.path not in self.files and not any(self.path.iterdir()):
            self.path.rmdir()


def find_garbage(results: Path, runs: Sequence[PlannedRun]) -> list[Garbage]:
    """Everything of a results folder that no run reaches, records last.

    Only files that the workflow has named are found. Links are left alone, and so are temporary files that may be
    in use.

    Args:
        results: the folder; that of all runs.
        runs: the runs to be kept.
    """
    artifacts = [artifact for run in runs for artifact in run.plan.artifacts]
    recipes = {artifact.recipe for artifact in artifacts}
    lists = {digest for artifact in artifacts for digest in artifact.images}
    lists = lists.union(*(run.truths for run in runs))
    return [
        *_artifacts(results, recipes),
        *(g for stage in STAGES for g in _folders("checkpoints", results / WORK / stage, recipes)),
        *(g for kind in TOLD for stage in STAGES for g in _files(kind, results / kind / stage, recipes)),
        *_folders("image list", results / INDEX, lists),
        *_temporary(results, recipes),
        *_files("record", results / RECIPES, recipes),
    ]


def _artifacts(results: Path, kept: set[str]) -> Iterator[Garbage]:
    for stage in STAGES:
        for path in own_files(results / stage):
            file = artifact_file(path)
            if file is not None and file.recipe not in kept:
                yield _garbage("artifact", path)


def _files(kind: str, folder: Path, kept: set[str]) -> Iterator[Garbage]:
    for path in own_files(folder):
        match = NAMED_BY_RECIPE.fullmatch(path.name)
        if match and not path.name.startswith(".") and match["recipe"] not in kept:
            yield _garbage(kind, path)


def _folders(kind: str, parent: Path, kept: set[str]) -> Iterator[Garbage]:
    for folder in own_folders(parent):
        if FOLDER_NAME.fullmatch(folder.name) and folder.name not in kept:
            yield _garbage(kind, folder, *own_files(folder))


def _temporary(results: Path, kept: set[str]) -> Iterator[Garbage]:
    folders = [*(results / stage for stage in STAGES), results / RECIPES, results / INDEX]
    for stage in STAGES:
        folders += [folder for folder in own_folders(results / WORK / stage) if folder.name in kept]
    for folder in folders:
        for path in own_files(folder):
            if TEMPORARY.fullmatch(path.name) and _is_dead(path):
                yield _garbage("temporary file", path)


def _is_dead(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > DEAD_AFTER
    except FileNotFoundError:  # its writer has renamed it meanwhile
        return False


def _garbage(kind: str, path: Path, *within: Path) -> Garbage:
    files = within if path.is_dir() else (path,)
    return Garbage(kind, path, files, sum(file.lstat().st_size for file in files))
