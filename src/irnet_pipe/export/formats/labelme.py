"""LabelMe: <name>.json for each photo, in the photos' folders, below train/ and val/ where there is a split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset, write_new
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.outlines import trace_outlines

VERSION = "6.3.1"
"""Of the LabelMe whose reader was tried."""


def write(dataset: Dataset, folder: Path) -> None:
    """Masks as polygons through the outermost pixels: PIL fills them to the same masks."""
    for photo in dataset.photos():
        place = folder / dataset.split_of(photo) if len(dataset.splits) > 1 else folder
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": list(_shapes(photo, dataset.classes)),
            "imagePath": PurePosixPath(photo.file_name).name,
            "imageData": None,
            "imageHeight": photo.height,
            "imageWidth": photo.width,
        }
        text = json.dumps(content, ensure_ascii=False) + "\n"
        write_new(place / f"{photo.name}.json", text, photo=photo)
        dataset.place(photo, place / photo.file_name)
    names = "".join(f"{name}\n" for name in dataset.classes)
    (folder / "labels.txt").write_text(names, encoding="utf-8")


def _shapes(photo: Photo, classes: list[str]) -> Iterator[dict[str, Any]]:
    """One shape for each part; parts of an instance have its number as group_id."""
    for number, instance in enumerate(photo.instances, start=1):
        crop = crop_instance(instance, height=photo.height)
        for outline in trace_outlines(crop.mask):
            yield {
                "label": classes[instance.class_id],
                "points": (outline.pixels + crop.corner).tolist(),
                "group_id": number,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
                "score": round(instance.score, 6),
            }
