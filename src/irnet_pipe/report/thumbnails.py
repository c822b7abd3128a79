"""What the gallery shows of every image: photo and masks, small, and a row of facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.artifacts.masks import InstanceMasks, mask_name
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.export.coco import rle_bounding_box
from irnet_pipe.numerics.run_lengths import rle_area
from irnet_pipe.report.figures import decode_at, draw_classes, draw_masks
from irnet_pipe.report.gallery_data import CLASSES, INSTANCES, PHOTO
from irnet_pipe.report.pictures import Picture


def draw_thumbnails(
    photo: NDArray[np.uint8],
    entry: ImageEntry,
    *,
    instances: InstanceMasks,
    semantic: tuple[NDArray[np.int32], Sequence[NDArray[np.uint32]]],
) -> Iterator[Picture]:
    """The pictures of an image, each of the size of `photo`.

    Args:
        photo: (h, w, 3), scaled down.
        entry: the image.
        instances: those shown.
        semantic: class ids (k,) and run lengths of the mask of each.
    """
    size, shown = (entry.height, entry.width), (photo.shape[0], photo.shape[1])
    yield Picture(PHOTO, Image.fromarray(photo))
    yield Picture(INSTANCES, draw_masks(decode_at(instances.runs, size=size, shown=shown)), flat=True)
    yield Picture(CLASSES, draw_classes(*semantic, size=size, shown=shown), flat=True)


def image_row(
    entry: ImageEntry, instances: InstanceMasks, *, present: Sequence[int], left_out: InstanceMasks
) -> dict[str, Any]:
    """Facts of an image.

    Args:
        entry: the image.
        instances: those shown.
        present: class ids that masks were made for: the labels, or those that the classifier predicted.
        left_out: those that a review has marked wrong.

    Returns:
        `id`, `size` [H, W], `labels` (class ids), `predicted` where the classifier named them, `masks` in the order
        of `instances`: `class`, `score`, `area` and `box` [x, y, w, h] as shares of the photo, `name`; `left_out`:
        the like where there is any; and `doubt`.
    """
    row: dict[str, Any] = {"id": entry.image_id, "size": [entry.height, entry.width], "labels": list(present)}
    if entry.labels is None:
        row["predicted"] = True
    row["masks"] = _facts(entry, instances)
    if left_out.runs:
        row["left_out"] = _facts(entry, left_out)
    return row | {"doubt": doubt(present, instances)}


def doubt(present: Sequence[int], instances: InstanceMasks) -> float:
    """How doubtful the masks of an image are, 0…1: 1 where a class has no mask, else 1 − the lowest score."""
    if set(present) - set(instances.class_id.tolist()):
        return 1.0
    return round(1 - float(instances.score.min(initial=1)), 3)


def _box(runs: NDArray[np.uint32], entry: ImageEntry) -> list[float]:
    x, y, width, height = rle_bounding_box(runs, height=entry.height)
    shares = (x / entry.width, y / entry.height, width / entry.width, height / entry.height)
    return [round(share, 4) for share in shares]


def _facts(entry: ImageEntry, instances: InstanceMasks) -> list[dict[str, Any]]:
    found = zip(instances.runs, instances.class_id.tolist(), instances.score.tolist(), strict=True)
    return [
        {
            "class": class_id,
            "score": round(score, 3),
            "area": round(rle_area(runs) / (entry.height * entry.width), 5),
            "box": _box(runs, entry),
            "name": mask_name(runs),
        }
        for runs, class_id, score in found
    ]
