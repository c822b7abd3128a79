"""Ultralytics YOLO-seg: data.yaml, labels/<split>/<name>.txt and images/<split>/<name>.

All files of a split lie in one folder, since readers look for labels by the names of files alone: `/` becomes `__`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from irnet_pipe.export.coco import CocoInstance
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import TRAIN, Dataset, write_new
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.outlines import join_parts, trace_outlines

INTO_PIXEL = 0.25
"""Readers truncate x·W (Ultralytics) or round it (supervision): a quarter into a pixel, both find it."""


def write(dataset: Dataset, folder: Path) -> None:
    """Masks as polygons through the outermost pixels: OpenCV fills them to the same masks."""
    for photo in dataset.photos():
        split = dataset.split_of(photo)
        lines = "".join(f"{_line(instance, photo)}\n" for instance in photo.instances)
        write_new(folder / "labels" / split / f"{_flat(photo.name)}.txt", lines, photo=photo)
        dataset.place(photo, folder / "images" / split / _flat(photo.file_name))
    content = {
        "train": f"images/{TRAIN}",
        "val": f"images/{dataset.splits[-1]}",
        "names": dict(enumerate(dataset.classes)),
    }
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    (folder / "data.yaml").write_text(text, encoding="utf-8")


def _flat(path: str) -> str:
    return path.replace("/", "__")


def _line(instance: CocoInstance, photo: Photo) -> str:
    places = (polygon(instance, height=photo.height) + INTO_PIXEL) / (photo.width, photo.height)
    return " ".join([str(instance.class_id), *(f"{value:.7f}" for value in places.ravel())])


def polygon(instance: CocoInstance, *, height: int) -> NDArray[np.int64]:
    """One polygon of an instance: (n, 2) pixels (x, y), parts joined by lines."""
    crop = crop_instance(instance, height=height)
    return join_parts([outline.pixels for outline in trace_outlines(crop.mask)]) + crop.corner
