"""One PNG an instance, masks/<name>/<number>.png, 255 in the mask and 0 elsewhere, listed in instances.csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from irnet_pipe.export.coco import CocoInstance
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset, write_new
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.run_lengths import rle_area


def write(dataset: Dataset, folder: Path) -> None:
    """Write PNGs of the size of the photo, and the list."""
    with (folder / "instances.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["image", "instance", "class", "class_id", "score", "pixels", "file"])
        for photo in dataset.photos():
            for number, instance in enumerate(photo.instances, start=1):
                file = f"masks/{photo.name}/{number:03d}.png"
                write_new(folder / file, _png(instance, photo), photo=photo)
                name, pixels = dataset.classes[instance.class_id], rle_area(instance.counts)
                score = round(instance.score, 6)
                rows.writerow([photo.file_name, number, name, instance.class_id, score, pixels, file])
            dataset.place(photo, folder / "images" / photo.file_name)


def _png(instance: CocoInstance, photo: Photo) -> bytes:
    canvas = np.zeros((photo.height, photo.width), np.uint8)
    crop_instance(instance, height=photo.height).paint(canvas, 255)
    stream = io.BytesIO()
    Image.fromarray(canvas).save(stream, format="PNG")
    return stream.getvalue()
