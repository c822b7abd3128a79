"""COCO jsons, of ground truth or of results, read one image at a time: memory holds places, not annotations."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.json_stream import Element, is_list, read_element, read_elements
from irnet_pipe.evaluation.segmentation import segmentation_runs

ImageId = int | str


class CocoImage(NamedTuple):
    """An image that a COCO json lists; size is (height, width)."""

    file_name: str
    size: tuple[int, int]


class CocoFile:
    """A list of results, or an object with images, categories and annotations.

    Attributes:
        path: the file.
        is_list: whether it is a list of results: neither images nor categories are named.
        images: id → image.
        category_names: id → name.
        category_ids: ids of the categories that have annotations.

    Raises:
        InputError: no such file, or none of COCO's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: dict[ImageId, CocoImage] = {}
        self.category_names: dict[int, str] = {}
        self.category_ids: set[int | str] = set()
        self._ordinal: dict[ImageId, int] = {}
        self._image, self._start, self._length = array("q"), array("q"), array("q")
        try:
            self.is_list = is_list(path)
            for element in read_elements(path):
                self._take(element)
            self._file = os.open(path, os.O_RDONLY)
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"{path}: no such file; give a COCO json or a folder of VOC PNGs") from None
        if not self.is_list and not (self.images and self.category_names):
            raise InputError(
                f"{path}: no COCO json: it is no list of results, and lists no images or no categories"
            )
        self._sort()

    def __del__(self) -> None:
        if (file := getattr(self, "_file", None)) is not None:
            os.close(file)

    @property
    def image_ids(self) -> set[ImageId]:
        """Ids of the images that have annotations."""
        return set(self._ordinal)

    def _take(self, element: Element) -> None:
        value = element.value
        try:
            if element.key == "images":
                self.images[value["id"]] = CocoImage(
                    str(value["file_name"]), (int(value["height"]), int(value["width"]))
                )
            elif element.key == "categories":
                self.category_names[value["id"]] = str(value["name"])
            elif element.key in ("", "annotations"):
                image_id, category_id = value["image_id"], value["category_id"]
                if not isinstance(image_id, int | str) or not isinstance(category_id, int | str):
                    raise TypeError(f"image_id is {image_id!r}, category_id {category_id!r}")
                self.category_ids.add(category_id)
                self._image.append(self._ordinal.setdefault(image_id, len(self._ordinal)))
                self._start.append(element.start)
                self._length.append(element.length)
        except KeyError as error:
            raise InputError(
                f"{self.path}: an entry of {element.key or 'the list'} at byte {element.start} has no {error}; add it"
            ) from None
        except (TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{self.path}: an entry of {element.key or 'the list'} at byte {element.start} is not COCO's "
                f"({error}); write the file anew"
            ) from None

    def _sort(self) -> None:
        image = np.frombuffer(self._image, dtype=np.int64)
        order = np.argsort(image, kind="stable")
        self._places = np.stack(
            [np.frombuffer(places, dtype=np.int64)[order] for places in (self._start, self._length)], axis=1
        )
        self._first = np.searchsorted(image[order], np.arange(len(self._ordinal) + 1))
        self._image, self._start, self._length = array("q"), array("q"), array("q")

    def annotations(self, image_id: ImageId) -> Iterator[dict[str, Any]]:
        """Annotations or results of an image, in the order of the file."""
        number = self._ordinal.get(image_id)
        if number is not None:
            for start, length in self._places[self._first[number] : self._first[number + 1]].tolist():
                yield read_element(self._file, start=start, length=length)

    def runs(self, annotation: dict[str, Any], *, size: tuple[int, int]) -> Any:
        """Run lengths of an annotation's mask, (runs,) uint32.

        Raises:
            InputError: there is no segmentation, it is malformed or of another size.
        """
        name = f"annotation {annotation['id']}" if "id" in annotation else "a result"
        what = f"{self.path}, {name} of image {annotation['image_id']}"
        if "segmentation" not in annotation:
            raise InputError(f"{what}: has no segmentation; boxes alone are not evaluated")
        try:
            return segmentation_runs(annotation["segmentation"], size=size)
        except (ValueError, TypeError) as error:
            raise InputError(f"{what}: segmentation cannot be used ({error}); mend or drop it") from error
