"""What `init` knows of a user's labels, whatever file they came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irnet_pipe.data.photo_files import SUFFIXES, PhotoFolder
from irnet_pipe.data.scan import split_suffix


@dataclass(frozen=True)
class FoundLabels:
    """Image-level labels and how they were read.

    Attributes:
        told: the source in words, for a person: file, format, columns, encoding.
        names: image as the source names it → class names; empty for a negative.
        classes: class names in the order that the source gives; None where it gives none.
        settings: keys of `dataset` by which the index reads the source itself; None where only `init` can.
        assumed: what was guessed, a sentence each.
    """

    told: str
    names: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...] | None = None
    settings: dict[str, Any] | None = None
    assumed: list[str] = field(default_factory=list)


class PhotoNames:
    """Finds the photo that a label file means: by path, or else by what is left of its file name, where that is unique.

    Folders, case and suffix do not count then, nor leading zeros, which spreadsheets take from numbers.
    """

    def __init__(self, photos: PhotoFolder) -> None:
        self._photos = photos
        by_name: dict[str, list[str]] = {}
        for image_id in photos.files:
            by_name.setdefault(_plain(image_id), []).append(image_id)
        self._by_name = {name: ids[0] for name, ids in by_name.items() if len(ids) == 1}

    def resolve(self, text: str) -> str | None:
        """The image_id that a name means, or None."""
        text = text.strip().replace("\\", "/")
        exact = self._photos.resolve(text)
        if exact is not None or not text:
            return exact
        stem, suffix = split_suffix(text)
        name = _plain(stem if suffix in SUFFIXES else text)
        return self._by_name.get(name) or self._by_name.get(_voc_name(name))


def _plain(name: str) -> str:
    """What is left of a name without suffix."""
    name = name.rsplit("/", 1)[-1].casefold()
    return (name.lstrip("0") or "0") if name.isdecimal() else name


def _voc_name(text: str) -> str:
    """A name of VOC that the authors' label files hold as a number: 2007000032 is 2007_000032."""
    return f"{text[:4]}_{text[4:]}" if re.fullmatch(r"20\d{8}", text) else text
