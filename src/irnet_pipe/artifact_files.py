"""Which files lie in a results folder: artifacts are told by their names alone, none is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.stage_table import STAGES

NAME = re.compile(r"(?P<unit>all|(?:train|label)-\d+-of-\d+)\.(?P<recipe>[0-9a-f]{16})\.(?P<ext>[a-z0-9]+)")


@dataclass(frozen=True)
class ArtifactFile:
    """A file `<results>/<stage>/<unit>.<recipe>.<ext>`, or its name alone where it is lost."""

    path: Path
    stage: str
    unit: str
    recipe: str

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.path.parent.parent


def artifact_file(path: Path) -> ArtifactFile | None:
    """What the name of a file says; None where it is no artifact's."""
    stage, match = path.parent.name, NAME.fullmatch(path.name)
    if match is None or stage not in STAGES or match["ext"] != STAGES[stage].ext:
        return None
    return ArtifactFile(path, stage, match["unit"], match["recipe"])


def artifact_files(results: Path, stage: str) -> list[ArtifactFile]:
    """Artifacts of a stage that are there, sorted by name; one listing of its folder."""
    try:
        with os.scandir(results / stage) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (artifact_file(results / stage / name) for name in names)
    return [file for file in found if file is not None]


def shards_of(unit: str) -> int | None:
    """Number of shards that a unit such as `train-03-of-08` is one of; None for `all`."""
    return int(unit.rpartition("-of-")[2]) if "-of-" in unit else None


def own_files(folder: Path) -> Iterator[Path]:
    """Files of a folder, sorted; no links, and none of a folder that is a link: what they lead to is elsewhere."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    yield from (folder / name for name in names)


def own_folders(folder: Path) -> Iterator[Path]:
    """Folders within a folder, sorted; no links."""
    if folder.is_symlink() or not folder.is_dir():
        return
    yield from sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def size_text(n_bytes: int) -> str:
    """Bytes for people: 512 B, 1.5 KiB, 2.0 GiB."""
    size, unit = float(n_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
