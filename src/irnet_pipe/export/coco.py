"""Instance masks as one COCO json, written image by image in constant memory.

Ids start at 1, unique in the file; category id = class_id + 1; masks are compressed RLE, hence lossless, or what a
caller makes of them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from irnet_pipe.numerics.run_lengths import compress_rle, rle_area


@dataclass(frozen=True)
class CocoImage:
    """A photo: file name as the reader shall find it, size of the displayed photo in pixels."""

    file_name: str
    height: int
    width: int

    @property
    def name(self) -> str:
        """`file_name` without suffix."""
        return str(PurePosixPath(self.file_name).with_suffix(""))


@dataclass(frozen=True)
class CocoInstance:
    """An instance.

    Attributes:
        counts: (runs,) uint32, run lengths down the columns, the first of background.
        class_id: 0-based.
        score: higher is surer.
    """

    counts: npt.NDArray[np.uint32]
    class_id: int
    score: float


def compressed(instance: CocoInstance, *, height: int, width: int) -> Any:
    """The segmentation of an instance as compressed RLE; `height` and `width` are those of the photo."""
    return {"size": [height, width], "counts": compress_rle(instance.counts)}


def write_coco(
    stream: TextIO,
    images: Iterable[CocoImage],
    instances: Iterable[Sequence[CocoInstance]],
    *,
    class_names: Sequence[str],
    description: str,
    segmentation: Callable[..., Any] = compressed,
) -> int:
    """Write the json.

    Args:
        stream: where to.
        images: all photos, gone through twice; image ids are 1, 2, … in this order.
        instances: those of each photo, in the order of `images`; taken one photo at a time.
        class_names: in the order of class_id.
        description: goes to info.description.
        segmentation: makes the JSON value of a mask, as `compressed` does.

    Returns:
        number of annotations.

    Raises:
        ValueError: `instances` and `images` differ in length.
    """
    stream.write(f'{{"info": {_text({"description": description})},\n"licenses": [],\n')
    _write_list(stream, "categories", _categories(class_names))
    stream.write(",\n")
    _write_list(stream, "images", _images(images))
    stream.write(",\n")
    n_annotations = _write_list(stream, "annotations", _annotations(images, instances, segmentation))
    stream.write("}\n")
    return n_annotations


def rle_bounding_box(counts: npt.NDArray[np.uint32], *, height: int) -> list[int]:
    """[x, y, w, h] of an uncompressed RLE in pixels; zeros for an empty mask."""
    ends = np.cumsum(counts, dtype=np.int64)
    n_runs = len(counts) // 2
    # A run is first…last, both in the mask; np.compress drops runs of length 0.
    some = counts[1::2] > 0
    first, last = ends[0::2][:n_runs][some], ends[1::2][some] - 1
    if not first.size:
        return [0, 0, 0, 0]
    x0, x1 = int(first[0] // height), int(last[-1] // height)
    if np.any(first // height != last // height):  # a run that goes on in the next column holds both edges
        return [x0, 0, x1 - x0 + 1, height]
    y0, y1 = int((first % height).min()), int((last % height).max())
    return [x0, y0, x1 - x0 + 1, y1 - y0 + 1]


def _categories(class_names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for class_id, name in enumerate(class_names):
        yield {"id": class_id + 1, "name": name, "supercategory": ""}


def _images(images: Iterable[CocoImage]) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(images, start=1):
        yield {"id": number, "file_name": image.file_name, "height": image.height, "width": image.width}


def _annotations(
    images: Iterable[CocoImage],
    instances: Iterable[Sequence[CocoInstance]],
    segmentation: Callable[..., Any],
) -> Iterator[dict[str, Any]]:
    annotation_id = 0
    for number, (image, found) in enumerate(zip(images, instances, strict=True), start=1):
        for instance in found:
            annotation_id += 1
            yield {
                "id": annotation_id,
                "image_id": number,
                "category_id": instance.class_id + 1,
                "segmentation": segmentation(instance, height=image.height, width=image.width),
                "area": rle_area(instance.counts),
                "bbox": rle_bounding_box(instance.counts, height=image.height),
                "iscrowd": 0,
                "score": round(float(instance.score), 6),
            }


def _write_list(stream: TextIO, key: str, entries: Iterable[dict[str, Any]]) -> int:
    """Write `"key": [...]`, one entry a line; returns the number of entries."""
    stream.write(f'"{key}": [')
    count = 0
    for count, entry in enumerate(entries, start=1):
        stream.write(("\n" if count == 1 else ",\n") + _text(entry))
    stream.write("\n]")
    return count


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False)
