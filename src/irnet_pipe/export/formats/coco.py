"""COCO: annotations/instances.json, or instances_train.json and instances_val.json, and images/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from irnet_pipe.export.coco import CocoImage, CocoInstance, compressed, write_coco
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.numerics.outlines import trace_outlines


def write(dataset: Dataset, folder: Path) -> None:
    """Masks as run lengths: nothing is lost."""
    _write(dataset, folder, compressed)


def write_polygons(dataset: Dataset, folder: Path) -> None:
    """Masks as polygons along the edges of pixels: the COCO API fills them to the same masks."""
    _write(dataset, folder, polygons)


def polygons(instance: CocoInstance, *, height: int, width: int) -> list[list[int]]:
    """The segmentation of an instance as polygons x0, y0, x1, y1, …, one for each part."""
    crop = crop_instance(instance, height=height)
    return [(outline.corners + crop.corner).ravel().tolist() for outline in trace_outlines(crop.mask)]


class _Images:
    """Images of a split, as often as they are gone through."""

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset, self._split = dataset, split

    def __iter__(self) -> Iterator[CocoImage]:
        return self._dataset.images(self._split)


def _write(dataset: Dataset, folder: Path, segmentation: Callable[..., Any]) -> None:
    (folder / "annotations").mkdir()
    for split in dataset.splits:
        name = "instances.json" if len(dataset.splits) == 1 else f"instances_{split}.json"
        with (folder / "annotations" / name).open("w", encoding="utf-8") as stream:
            write_coco(
                stream,
                _Images(dataset, split),
                (photo.instances for photo in dataset.photos(split)),
                class_names=dataset.classes,
                description=dataset.published.description,
                segmentation=segmentation,
            )
    for image in dataset.images():
        dataset.place(image, folder / "images" / image.file_name)
