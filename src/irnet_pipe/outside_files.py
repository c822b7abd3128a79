"""Files from outside the data set that a config names: weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.config import Config
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import StatCache

WEIGHTS_SUFFIXES = (".pth", ".pt")


@dataclass(frozen=True)
class OutsideFile:
    """A file from outside that a config names: its absolute path, and the first 16 hex of its sha256."""

    path: str
    digest: str


def outside_files(config: Config, *, cache: StatCache, problems: Problems) -> dict[str, OutsideFile]:
    """Weights from outside that a run reads, by config path; those that `trained` replaces are not read."""
    files = {}
    for section, settings in _with_weights(config):
        key, value = f"{section}.trained", getattr(settings, "trained", None)
        if value is None:
            key, value = f"{section}.weights", settings.weights
            if value is None or not _is_path(value):
                continue
        path = Path(value).resolve()
        if path.is_file():
            files[key] = OutsideFile(str(path), file_digest(path, cache=cache))
        else:
            problems.add("missing weights", f"{key}: {value}: no such file; give the path of a weights file")
    return files


def _with_weights(config: Config) -> list[tuple[str, Any]]:
    """Sections of the networks that a run has."""
    sections: list[tuple[str, Any]] = [("cam", config.cam), ("irnet", config.irnet)]
    if "affinitynet" in config.mask_sources:
        sections.append(("affinitynet", config.affinitynet))
    return sections + [(key, getattr(config, key)) for key in config.segmenters]


def file_digest(path: Path, *, cache: StatCache) -> str:
    """First 16 hex of the sha256 of a file."""
    digest: str = cache.of_file("files", path, _digest_file)
    return digest


def _is_path(weights: str) -> bool:
    """Whether a value of cam.weights or irnet.weights is a file, rather than a name of torchvision."""
    return "/" in weights or weights.endswith(WEIGHTS_SUFFIXES) or Path(weights).is_file()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
