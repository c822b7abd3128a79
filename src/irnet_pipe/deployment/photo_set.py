"""Photos outside of a data set, named by files and folders, and the names of what is made of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from irnet_pipe.data.photo_files import SUFFIXES, find_photos, is_text
from irnet_pipe.data.scan import split_suffix
from irnet_pipe.errors import InputError


@dataclass(frozen=True)
class PhotoSet:
    """Photos.

    Attributes:
        base: the folder nearest to all of them that were named, which their names are relative to.
        names: paths from there, with forward slashes; none twice.
    """

    base: Path
    names: list[str]

    @cached_property
    def _suffixes_tell_apart(self) -> bool:
        return len({split_suffix(name)[0] for name in self.names}) < len(self.names)

    def output_name(self, name: str) -> str:
        """Name of a PNG made of a photo, and of no other: without the suffix, unless suffixes tell photos apart."""
        return f"{name if self._suffixes_tell_apart else split_suffix(name)[0]}.png"


def photo_set(arguments: Sequence[Path], *, skip: Path) -> PhotoSet:
    """Find photos.

    Args:
        arguments: photo files, and folders, which are searched with their sub-folders; hidden files and folders in
            them are left out.
        skip: folder that is not searched.

    Raises:
        InputError: one of them is missing or no photo, or there is no photo in any.
    """
    problems = [problem for argument in arguments for problem in _problems(argument)]
    if problems:
        raise InputError(problems)
    found: dict[Path, list[str]] = {}  # folder as it is on the disk → names below it
    for argument in arguments:
        if argument.is_dir():
            folder = argument.resolve()
            found.setdefault(folder, []).extend(find_photos(folder, root=folder, skip=[skip.resolve()]).stats)
        else:
            found.setdefault(argument.absolute().parent.resolve(), []).append(argument.name)
    base = Path(os.path.commonpath(found))
    names = {(folder / name).relative_to(base).as_posix() for folder, of in found.items() for name in of}
    if not names:
        raise InputError(
            f"{', '.join(map(str, arguments))}: no photo; endings of photos are {', '.join(sorted(SUFFIXES))}"
        )
    problems = [f"{base}: file name {name!r} is not UTF-8; rename it" for name in names if not is_text(name)]
    if problems:
        raise InputError(problems)
    return PhotoSet(base, sorted(names))


def _problems(argument: Path) -> list[str]:
    if argument.is_dir():
        return []
    if not argument.exists():
        return [f"{argument}: no such file or folder; give photos, or folders of photos"]
    if split_suffix(argument.name)[1] not in SUFFIXES:
        return [f"{argument}: no photo by its ending; photos end in {', '.join(sorted(SUFFIXES))}"]
    return []
