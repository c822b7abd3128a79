"""What a format is given: photos with instances, the split of each, and a way to place photo files."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irnet_pipe.errors import InputError
from irnet_pipe.export.coco import CocoImage
from irnet_pipe.export.placing import LINK, NONE
from irnet_pipe.export.published import Photo, Published
from irnet_pipe.runtime.progress import Progress

TRAIN, VAL = "train", "val"


@dataclass(frozen=True)
class Dataset:
    """A published run, as it is to be exported.

    Attributes:
        published: the masks.
        val_share: share of the photos that go to `val`; 0 where there is no split.
        placing: what happens to photo files: none, link (symbolic) or copy.
        root: folder that the photos' paths are relative to; needed unless `placing` is none.
        url_prefix: goes before a photo's path where a format names photos by URL.
        totals: numbers of photos by split, where progress is to be shown.
    """

    published: Published
    val_share: float = 0
    placing: str = NONE
    root: Path | None = None
    url_prefix: str = ""
    totals: Mapping[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Names, in the order of class_id."""
        return self.published.classes

    @property
    def splits(self) -> tuple[str, ...]:
        """Train and val; without a split, train alone holds all."""
        return (TRAIN, VAL) if self.val_share else (TRAIN,)

    def split_of(self, photo: CocoImage) -> str:
        """The split of a photo, by a hash of its path without suffix: that of others is no part of it."""
        if not self.val_share:
            return TRAIN
        drawn = int.from_bytes(hashlib.sha256(photo.name.encode()).digest()[:8]) / 2**64
        return VAL if drawn < self.val_share else TRAIN

    def images(self, split: str | None = None) -> Iterator[CocoImage]:
        """Photos of a split, or all, without instances."""
        return (image for image in self.published.images() if split in (None, self.split_of(image)))

    def photos(self, split: str | None = None) -> Iterator[Photo]:
        """Photos of a split, or all, with instances, each decoded when it is asked for."""
        photos = (photo for photo in self.published.photos() if split in (None, self.split_of(photo)))
        if not self.totals:
            return photos
        total = self.totals[split] if split else sum(self.totals.values())
        return Progress(total=total, title=f"export {split or 'all'}", unit="images").over(photos)

    def source(self, photo: CocoImage) -> Path:
        """The file of a photo.

        Raises:
            InputError: it is missing.
        """
        path = (self.root or Path()) / photo.file_name
        if not path.is_file():
            raise InputError(
                f"{path}: no such photo; --root must be the folder that dataset.root names, or leave out --photos"
            )
        return path

    def place(self, photo: CocoImage, target: Path) -> None:
        """Link or copy the file of a photo to a path, if this is wanted."""
        if self.placing == NONE:
            return
        source = self.source(photo)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink() or target.exists():
            raise _clash(photo, target)
        if self.placing == LINK:
            target.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, target)


def write_new(path: Path, content: str | bytes, *, photo: CocoImage) -> None:
    """Write a file of a photo.

    Raises:
        InputError: that of another photo has this name already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except FileExistsError:
        raise _clash(photo, path) from None


def _clash(photo: CocoImage, path: Path) -> InputError:
    """The error of two photos that would get one file."""
    return InputError(
        f"{photo.file_name}: another photo has the file {path.name!r} in this format already; rename one of the two"
    )
