"""The masks of a published run, read image by image: memory does not grow with their number.

A masks.json has one entry a line, images in ascending order of id, annotations in the order of the images
(`export.coco.write_coco`). So images and annotations are read side by side, line by line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from irnet_pipe.errors import InputError
from irnet_pipe.export.coco import CocoImage, CocoInstance
from irnet_pipe.numerics.run_lengths import decompress_rle, rle_area
from irnet_pipe.recipes import MARKERS, PUBLISHED_MASKS

VARIANTS = "variants"
OF_VARIANT = re.compile(r"variant (\w+), recipe (\w+)")


@dataclass(frozen=True)
class Photo(CocoImage):
    """A photo with its instances, in the order of masks.json."""

    instances: list[CocoInstance]


@dataclass(frozen=True)
class Published:
    """A masks.json.

    Attributes:
        path: of the file.
        variant: of the masks.
        recipe: of the artifact that it was published from.
        description: names variant and recipe, and how many photos have predicted classes.
        classes: names, in the order of class_id.
    """

    path: Path
    variant: str
    recipe: str
    description: str
    classes: list[str]

    def images(self) -> Iterator[CocoImage]:
        """All photos, without their instances."""
        with self.path.open(encoding="utf-8") as stream:
            lines = _Lines(self.path, stream)
            lines.skip_to("images")
            for image in lines.entries():
                yield lines.image(image)

    def photos(self) -> Iterator[Photo]:
        """All photos with their instances, each decoded when it is asked for.

        Raises:
            InputError: the file is damaged, or written by something else.
        """
        with self.path.open(encoding="utf-8") as heads, self.path.open(encoding="utf-8") as bodies:
            images, annotations = _Lines(self.path, heads), _Lines(self.path, bodies)
            images.skip_to("images")
            annotations.skip_to("annotations")
            waiting = annotations.entries()
            annotation = next(waiting, None)
            for entry in images.entries():
                image = images.image(entry)
                instances = []
                while annotation is not None and annotation.get("image_id") == entry["id"]:
                    instances.append(annotations.instance(annotation, image, n_classes=len(self.classes)))
                    annotation = next(waiting, None)
                yield Photo(image.file_name, image.height, image.width, instances)
            if annotation is not None:
                raise annotations.foreign(f"image_id {annotation.get('image_id')!r} is out of order")


def open_published(folder: Path, *, variant: str | None = None) -> Published:
    """Open the masks of a published run.

    Args:
        folder: outputs/<run>.
        variant: which of export.variants; the last of them, which lies in `folder` itself, if None.

    Raises:
        InputError: nothing is published there, or not this variant.
    """
    if not (folder / PUBLISHED_MASKS).is_file():
        raise InputError(f"{folder}: {_what_is_missing(folder)}")
    if not any(folder.glob(MARKERS)):
        raise InputError(f"{folder}: was not published to its end (no {MARKERS}); run snakemake again")
    published = _open(folder / PUBLISHED_MASKS)
    others = sorted(path.parent.name for path in folder.glob(f"{VARIANTS}/*/{PUBLISHED_MASKS}"))
    if variant is None or variant == published.variant:
        return published
    if variant not in others:
        raise InputError(
            f"{folder}: variant {variant!r} is not published, only {', '.join([published.variant, *others])}; "
            "give one of these, or add it to export.variants and run snakemake"
        )
    return _open(folder / VARIANTS / variant / PUBLISHED_MASKS)


def _what_is_missing(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder; give the folder of a published run, outputs/<run>"
    inner = sorted(path.parent.name for path in folder.glob(f"*/{PUBLISHED_MASKS}"))
    if inner:
        return f"holds {len(inner)} published runs, not one; give one of them, such as {folder / inner[0]}"
    return f"holds no {PUBLISHED_MASKS}; run snakemake, which publishes it"


def _open(path: Path) -> Published:
    with path.open(encoding="utf-8") as stream:
        lines = _Lines(path, stream)
        first = lines.next()
        if not first.startswith('{"info": '):
            raise lines.foreign("does not begin with info")
        info = lines.parse(first + "}").get("info")
        description = str(info.get("description")) if isinstance(info, dict) else ""
        found = OF_VARIANT.search(description)
        if found is None:
            raise lines.foreign("info names no variant and recipe")
        lines.skip_to("categories")
        classes = []
        for number, entry in enumerate(lines.entries(), start=1):
            if entry.get("id") != number or not isinstance(entry.get("name"), str):
                raise lines.foreign(f"category id {entry.get('id')!r}, expected {number} with a name")
            classes.append(entry["name"])
    return Published(path, found[1], found[2], description, classes)


class _Lines:
    """Lines of a masks.json; what is wrong with one is told with its number."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream, self._number = path, stream, 0
        self._last_id = 0

    def foreign(self, what: str) -> InputError:
        """The error of a file that is not laid out as ours are."""
        return InputError(
            f"{self._path}, line {self._number}: {what}; the file is damaged or not written by irnet_pipe: "
            "run snakemake, which publishes it anew"
        )

    def next(self) -> str:
        """Next line, without the comma at its end."""
        self._number += 1
        try:
            line = self._stream.readline()
        except UnicodeDecodeError as error:
            raise self.foreign(f"is not UTF-8 ({error.reason})") from None
        if not line.endswith("\n"):
            raise self.foreign("ends too early")
        return line[:-1].removesuffix(",")

    def skip_to(self, key: str) -> None:
        """Go on to the first entry of a list."""
        opening = f'"{key}": ['
        line = self.next()
        while line != opening:
            if line.endswith("]}"):
                raise self.foreign(f"no list {key!r} with one entry a line")
            line = self.next()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Entries up to the end of a list."""
        while (line := self.next()) not in ("]", "]}"):
            yield self.parse(line)

    def parse(self, line: str) -> dict[str, Any]:
        """The object of a line."""
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise self.foreign(f"is no JSON ({error})") from None
        if not isinstance(entry, dict):
            raise self.foreign(f"{line[:40]!r} is no object")
        return entry

    def image(self, entry: dict[str, Any]) -> CocoImage:
        """A photo, whose name leads nowhere else."""
        name, sides = entry.get("file_name"), (entry.get("height"), entry.get("width"))
        if not all(isinstance(value, int) and value > 0 for value in (entry.get("id"), *sides)):
            raise self.foreign("an image has no id, height and width above 0")
        if entry["id"] <= self._last_id:
            raise self.foreign(f"image id {entry['id']} comes after {self._last_id}")
        self._last_id = entry["id"]
        path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
        if not path.name or path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise self.foreign(f"file_name {name!r} is no path below the photos' folder")
        return CocoImage(str(path), entry["height"], entry["width"])

    def instance(self, entry: dict[str, Any], image: CocoImage, *, n_classes: int) -> CocoInstance:
        """An annotation whose mask fits its image."""
        try:
            counts = decompress_rle(entry["segmentation"]["counts"])
            class_id, score = int(entry["category_id"]) - 1, float(entry["score"])
            whole = int(counts.sum(dtype="int64")) == image.height * image.width
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise self.foreign(f"annotation cannot be read ({type(error).__name__}: {error})") from None
        if not 0 <= class_id < n_classes:
            raise self.foreign(f"category_id {class_id + 1} is not in 1…{n_classes}")
        if not whole or not rle_area(counts):
            raise self.foreign(f"no mask of {image.height}×{image.width} pixels for {image.file_name!r}")
        return CocoInstance(counts, class_id, score)
