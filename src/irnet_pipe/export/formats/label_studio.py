"""Label Studio: tasks-<n>.json with brush masks as predictions, and label_config.xml for the project."""

from __future__ import annotations

import json
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.export.coco import CocoInstance
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.run_lengths import encode_rle

TASKS_A_FILE = 1000
"""So that files can be uploaded one by one."""

CHANNELS = 4
"""Values of a pixel: its opacity four times over."""

COUNT_BITS = np.array([3, 4, 8, 16])
"""Bits in which the length of a run may be told, less one; longer runs are told in pieces."""


def write(dataset: Dataset, folder: Path) -> None:
    """Write tasks and labelling config."""
    photos = dataset.photos()
    for number, first in enumerate(photos, start=1):
        part = chain([first], islice(photos, TASKS_A_FILE - 1))
        with (folder / f"tasks-{number:04d}.json").open("w", encoding="utf-8") as stream:
            for i, photo in enumerate(part):
                text = json.dumps(_task(dataset, photo), ensure_ascii=False, separators=(",", ":"))
                stream.write((",\n" if i else "[\n") + text)
            stream.write("\n]\n")
    for image in dataset.images():
        dataset.place(image, folder / "images" / image.file_name)
    (folder / "label_config.xml").write_text(_config(dataset.classes), encoding="utf-8")


def _task(dataset: Dataset, photo: Photo) -> dict[str, Any]:
    data = {"image": dataset.url_prefix + quote(photo.file_name), "path": photo.file_name}
    if len(dataset.splits) > 1:
        data["split"] = dataset.split_of(photo)
    scores = [instance.score for instance in photo.instances]
    prediction: dict[str, Any] = {
        "model_version": f"irnet_pipe {dataset.published.variant} {dataset.published.recipe}",
        "result": [
            _region(f"mask-{number}", instance, photo, dataset.classes[instance.class_id])
            for number, instance in enumerate(photo.instances, start=1)
        ],
    }
    if scores:
        prediction["score"] = round(sum(scores) / len(scores), 6)
    return {"data": data, "predictions": [prediction]}


def _region(region_id: str, instance: CocoInstance, photo: Photo, name: str) -> dict[str, Any]:
    return {
        "id": region_id,
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_width": photo.width,
        "original_height": photo.height,
        "image_rotation": 0,
        "score": round(instance.score, 6),
        "value": {"format": "rle", "rle": brush(instance, photo).tolist(), "brushlabels": [name]},
    }


def brush(instance: CocoInstance, photo: Photo) -> NDArray[np.uint8]:
    """Bytes of Label Studio's run lengths (the format of @thi.ng/rle-pack) of an instance.

    A header tells the number of values (32 bits), bits of a value less one (5), and the four widths of counts less one
    (4 each). A run is a bit 1, which of the widths (2), its length less one, and the value (8).
    """
    crop = crop_instance(instance, height=photo.height)
    rows = encode_rle(crop.mask.T, top=crop.left, left=crop.top, size=(photo.width, photo.height))
    longest = 2 ** int(COUNT_BITS[-1])
    lengths = CHANNELS * rows.astype(np.int64)
    pieces = -(-lengths // longest)
    value = np.repeat(np.where(np.arange(len(rows)) % 2, 255, 0), pieces)
    count = np.full(len(value), longest)
    ends = np.cumsum(pieces)[pieces > 0] - 1
    count[ends] = (lengths - longest * (pieces - 1))[pieces > 0]
    width = np.searchsorted(2**COUNT_BITS, count)
    total = CHANNELS * photo.height * photo.width
    header = f"{total:032b}{8 - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in COUNT_BITS)
    return np.packbits(np.concatenate([[bit == "1" for bit in header], _run_bits(count, width, value)]))


def _run_bits(count: NDArray[Any], width: NDArray[Any], value: NDArray[Any]) -> NDArray[np.bool_]:
    """Bits of runs, one after the other: 1, which width, count less one, value."""
    most = int(COUNT_BITS[-1])
    fields = ((np.ones_like(count), 1), (width, 2), (count - 1, most), (value, 8))
    bits = np.concatenate(
        [(field[:, None] >> np.arange(n - 1, -1, -1) & 1).astype(bool) for field, n in fields], axis=1
    )
    kept = np.ones_like(bits)
    kept[:, 3 : 3 + most] = np.arange(most) >= most - COUNT_BITS[width][:, None]
    told: NDArray[np.bool_] = bits[kept]
    return told


def _config(classes: list[str]) -> str:
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in classes)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="tag" toName="image">\n{labels}  </BrushLabels>\n</View>\n'
    )
