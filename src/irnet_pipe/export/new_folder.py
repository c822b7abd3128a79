"""Folders that a command makes: whole or not there, and never in place of anything but an earlier one of its kind."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.errors import InputError


@dataclass(frozen=True)
class NewFolder:
    """What a command makes.

    Attributes:
        marker: file in each such folder, written last; --force replaces no folder without it.
        kind: word for one, in messages.
        option: that names the folder.
    """

    marker: str
    kind: str
    option: str


@contextmanager
def new_folder(to: Path, made: NewFolder, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside `to` that takes its place when the block ends well, and is removed otherwise.

    Raises:
        InputError: `to` is taken, and not by an earlier folder of its kind that may be replaced.
    """
    _check_place(to, made, force=force)
    place = to.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        _check_place(to, made, force=force)
        if place.exists():
            replaced = temporary.with_suffix(".old")
            place.rename(replaced)
            temporary.rename(place)
            shutil.rmtree(replaced)
        else:
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_place(to: Path, made: NewFolder, *, force: bool) -> None:
    kind, option = made.kind, made.option
    if not os.path.lexists(to) or (to.is_dir() and not any(to.iterdir())):
        return
    if not to.is_dir():
        raise InputError(f"{to}: is a file; give {option} another name")
    if not (to / made.marker).is_file():
        raise InputError(
            f"{to}: is not empty and no earlier {kind} (no {made.marker}); give {option} another folder, or empty "
            "this one"
        )
    if not force:
        raise InputError(
            f"{to}: holds an earlier {kind}; give {option} another folder, or replace it by --force"
        )
