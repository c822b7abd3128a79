"""The field `segmentation` of COCO annotations and results: polygons or RLE, as run lengths."""

from typing import Any

import numpy as np
import numpy.typing as npt

from irnet_pipe.evaluation.polygon import polygon_runs
from irnet_pipe.numerics.mask_algebra import unite_runs
from irnet_pipe.numerics.run_lengths import decompress_rle


def segmentation_runs(segmentation: Any, *, size: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Run lengths of a segmentation.

    Args:
        segmentation: a list of polygons, which are united, or an RLE object with counts, compressed or not.
        size: (H, W) of the image.

    Returns:
        (runs,) uint32, down the columns, the first of background.

    Raises:
        ValueError: neither of the two, of another size, or malformed.
    """
    if isinstance(segmentation, list):
        return unite_runs([polygon_runs(polygon, size=size) for polygon in segmentation], size=size)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError("neither polygons nor an RLE of size and counts")
    if list(segmentation["size"]) != list(size):
        found = "×".join(map(str, segmentation["size"]))
        raise ValueError(f"its RLE is of {found} pixels (height×width), the image {size[0]}×{size[1]}")
    counts = segmentation["counts"]
    runs = decompress_rle(counts) if isinstance(counts, str) else _checked_counts(counts)
    n_pixels = int(runs.sum(dtype=np.int64))
    if n_pixels != size[0] * size[1]:
        raise ValueError(
            f"counts sum to {n_pixels}, but a mask of {size[0]}×{size[1]} has {size[0] * size[1]}"
        )
    return runs


def _checked_counts(counts: Any) -> npt.NDArray[np.uint32]:
    runs = np.asarray(counts)
    if runs.ndim != 1 or runs.dtype.kind != "i" or runs.min() < 0 or runs.max() > np.iinfo(np.uint32).max:
        raise ValueError("counts that are no list of numbers of pixels")
    return runs.astype(np.uint32)
