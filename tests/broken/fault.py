"""Faults of a project: how each comes about, and what a person is told."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from irnet_pipe import __version__
from irnet_pipe.config import load_config
from irnet_pipe.config.presets import merge
from irnet_pipe.plan import Artifact
from irnet_pipe.workflow import prepare

VALIDATE = ("validate", "--config", "my.yaml")
TRAIN = {"batch": 2, "crop": 96, "epochs": 1, "precision": "fp32"}
CONFIG: dict[str, Any] = {
    "run": "sound",
    "shards": {"n": 1},
    "dataset": {"root": "photos"},
    "cam": {
        "backbone": "resnet18",
        "weights": "none",
        "train": TRAIN | {"long_side": [64, 96], "freeze": "none", "batch_norm": "batch"},
        "infer": {"precision": "fp32"},
    },
    "irnet": {
        "backbone": "resnet18",
        "weights": "cam",
        "radius": 4,
        "train": TRAIN,
        "infer": {"precision": "fp32"},
    },
    "runtime": {"device": "cpu"},
}
LABELS = {"a": "box;disc", "b": "disc", "c": "box", "d": ""}
REMEMBERED = ("results/index/digests.json", "results/events/", "results/facts/")
"""What is remembered of photos that were examined, and of attempts that failed."""


class Project:
    """A sound project in the current folder: four photos, a table of labels, a config.

    Attributes:
        folder: of the project.
        trained: weights files of other runs.
        names: word of the messages and command lines → what it stands for.
        conditions: what holds while the command runs.
    """

    def __init__(self, folder: Path, trained: Any) -> None:
        self.folder = folder
        self.trained = trained
        self.names = {"FOLDER": str(folder), "VERSION": __version__}
        self.conditions = ExitStack()
        for image_id in LABELS:
            self.photo(f"photos/images/{image_id}.png")
        self.table("".join(f"{image_id},{labels}\n" for image_id, labels in LABELS.items()))
        self.config()
        (folder / "results" / "index").mkdir(parents=True)

    def photo(
        self, name: str, *, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any
    ) -> Path:
        """Save a photo of noise."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(name)).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(path, **options)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def replace(self, old: str, new: str, content: str | bytes) -> None:
        """Put another file in the place of one."""
        (self.folder / old).unlink()
        self.write(new, content)

    def table(self, rows: str) -> None:
        """Write the table of labels."""
        self.write("photos/labels.csv", f"image_id,labels\n{rows}")

    def config(self, changes: dict[str, Any] | None = None) -> None:
        """Write the config."""
        self.write("my.yaml", yaml.safe_dump(merge(CONFIG, changes or {}), sort_keys=False))

    def hold(self, name: str, value: object) -> None:
        """Let a word of the messages stand for a value."""
        self.names[name] = str(value)

    def artifact(self, stage: str) -> Artifact:
        """Plan the run; the first artifact of a stage, whose record is then there."""
        return prepare(load_config(Path("my.yaml"))).plan.of(stage)[0]

    def told(self, text: str) -> str:
        """A text with what its words stand for."""
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        return text

    def listing(self) -> dict[str, object]:
        """Path → content or target of each file, link and folder, but for what is remembered."""
        found: dict[str, object] = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if name.startswith(REMEMBERED) or f"{name}/" in REMEMBERED:
                continue
            if path.is_symlink():
                found[name] = path.readlink()
            elif path.is_file():
                stat = path.stat()
                found[name] = (stat.st_size, stat.st_mtime_ns)
            else:
                found[name] = None
        return found


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, and what is said of it.

    Attributes:
        name: in words.
        spoil: makes it so in a sound project.
        told: lines on stderr, without `error: `, written out but for the words that `Project.names` holds.
        words: of the command line.
        code: exit code.
        output: standard output.
    """

    name: str
    spoil: Callable[[Project], object]
    told: tuple[str, ...] | str
    words: tuple[str, ...] = VALIDATE
    code: int = 2
    output: str = ""

    @property
    def errors(self) -> str:
        """All of stderr."""
        told = (self.told,) if isinstance(self.told, str) else self.told
        return "".join(f"error: {line}\n" for line in told)


def configured(**sections: Any) -> Callable[[Project], object]:
    """A config with these sections changed."""
    return lambda project: project.config(sections)


def labelled(rows: str) -> Callable[[Project], object]:
    """A table of labels with these rows."""
    return lambda project: project.table(rows)


def written(name: str, content: str | bytes) -> Callable[[Project], object]:
    """A file with this content."""
    return lambda project: project.write(name, content)


def listed(key: str, content: str | bytes, **dataset: Any) -> Callable[[Project], object]:
    """A list of images that a key names."""

    def spoil(project: Project) -> None:
        project.write("photos/list.txt", content)
        project.config({"dataset": {key: "list.txt", **dataset}})

    return spoil


@contextmanager
def held_to_permissions() -> Iterator[None]:
    """Within the block permissions hold for root too: the capabilities to override them are laid down."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, of 32 capabilities each
    if libc.capget(header, sets) != 0:
        pytest.skip("capabilities cannot be read here")
    before = sets[0]
    sets[0] = before & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0] = before
        libc.capset(header, sets)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Within the block no file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
