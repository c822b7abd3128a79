"""The formats of `irnet-pipe export`, each a module with `write(dataset, folder)`; loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irnet_pipe.export.dataset import Dataset

Write = Callable[["Dataset", Path], None]
"""Writes a data set into an empty folder, photo by photo in constant memory."""


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        function: module of this package, and its function of type `Write`.
        summary: for people.
        links_photos: whether photos can be linked, not only copied.
    """

    function: str
    summary: str
    links_photos: bool = True

    def load(self) -> Write:
        """Import the function."""
        module, name = self.function.split(".")
        write: Write = getattr(import_module(f"{__name__}.{module}"), name)
        return write


FORMATS = {
    "coco": Format("coco.write", "COCO json with run lengths"),
    "coco-polygons": Format("coco.write_polygons", "COCO json with polygons"),
    "voc": Format("voc.write", "PASCAL VOC: palette PNGs of objects and classes, XML"),
    "yolo": Format("yolo.write", "Ultralytics YOLO-seg: a txt an image, data.yaml"),
    "cvat": Format("cvat.write", "CVAT for images 1.1: zip with masks", links_photos=False),
    "label-studio": Format("label_studio.write", "Label Studio: brush masks as predictions"),
    "labelme": Format("labelme.write", "LabelMe: a json of polygons an image"),
    "png": Format("png.write", "a PNG an instance, and a CSV"),
}
