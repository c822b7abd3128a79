"""Label maps of scores and their fragments, in numpy: the late stages start without torch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from irnet_pipe.numerics.strides import IRNET_STRIDE

Taps = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def label_scores(
    score: NDArray[np.float32],
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label each pixel with the map of the highest score, or as background, and keep that score.

    The maps are enlarged fourfold, cropped to `size`, divided by the largest value of all and resized to
    `full_size`, each bilinearly and one at a time: memory does not grow with their number.

    Args:
        score: (n, h, w) float32, non-negative score maps on the stride-4 grid.
        size: (H, W) of the photo as processed.
        full_size: (H0, W0) of the photo itself; `size` if None.
        bg_threshold: score of the background; of equal scores, background comes first, then the lower map.

    Returns:
        `labels` (H0, W0) int32, 0 background, i + 1 map i; `best` (H0, W0) float32, the score of the label.
    """
    peak = _peak(score, size, stride=IRNET_STRIDE)
    maps = (_enlarge(one, size, stride=IRNET_STRIDE) / peak for one in score)
    return label_pixels(maps, size=size, full_size=full_size, bg_threshold=bg_threshold)


def label_with_background(
    score: NDArray[np.float32],
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    stride: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label each pixel with the map of the highest score, of which the first is the background.

    The maps are enlarged, cropped, divided by the largest value of all but the first and resized, as
    `label_scores` does.

    Args:
        score: (1 + n, h, w) float32, non-negative score maps.
        size: (H, W) of the photo as processed.
        full_size: (H0, W0) of the photo itself; `size` if None.
        stride: of the maps, pixels.

    Returns:
        `labels` and `best`, see `label_scores`; of equal scores, background comes first, then the lower map.
    """
    peak = _peak(score[1:], size, stride=stride)
    maps = (_enlarge(one, size, stride=stride) / peak for one in score)
    # below every score: the background is a map like the others
    labels, best = label_pixels(maps, size=size, full_size=full_size, bg_threshold=-1)
    return labels - 1, best


def label_pixels(
    maps: Iterable[NDArray[np.float32]],
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label each pixel with the map of the highest score, or as background, and keep that score.

    Args:
        maps: (H, W) float32 score maps in 0…1, taken one at a time.
        size: (H, W) of the maps.
        full_size: (H0, W0) that they are resized to, bilinearly; `size` if None.
        bg_threshold: score of the background; of equal scores, background comes first, then the lower map.

    Returns:
        `labels` (H0, W0) int32, 0 background, i + 1 map i; `best` (H0, W0) float32, the score of the label.
    """
    height, width = full_size or size
    rows, columns = _bilinear_taps(size[0], height), _bilinear_taps(size[1], width)
    labels = np.zeros((height, width), np.int32)
    best = np.full((height, width), bg_threshold, np.float32)
    for label, one in enumerate(maps, start=1):
        _claim(np.ascontiguousarray(one), *rows, *columns, label, labels, best)
    return labels, best


def _peak(score: NDArray[np.float32], size: tuple[int, int], *, stride: int) -> np.float32:
    """Largest value of maps once enlarged."""
    # without any positive score all is background, and nothing is divided by zero
    return np.float32(max((_enlarge(one, size, stride=stride).max() for one in score), default=0) or 1)


def _enlarge(score: NDArray[np.float32], size: tuple[int, int], *, stride: int) -> NDArray[np.float32]:
    """(h, w) → (H, W): `stride` times as large, and cropped."""
    height, width = score.shape
    top, bottom, row_weight = _bilinear_taps(height, stride * height)
    columns = _bilinear_taps(width, stride * width)
    enlarged = np.empty(size, np.float32)
    _resize(np.ascontiguousarray(score), top, bottom, row_weight, *columns, enlarged)
    return enlarged


def _bilinear_taps(length: int, resized: int) -> Taps:
    """Lower index, upper index and weight of the upper for each resized position (align_corners false)."""
    position = np.maximum((np.arange(resized) + 0.5) * (length / resized) - 0.5, 0)
    lower = position.astype(np.int64)
    return lower, np.minimum(lower + 1, length - 1), (position - lower).astype(np.float32)


@njit(cache=True, nogil=True)
def _resize(
    score: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
    row_weight: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    column_weight: np.ndarray,
    resized: np.ndarray,
) -> None:
    """Write the resized score, as far as there is room; along the rows first, of which there are fewer then."""
    one = np.float32(1)
    height, width = resized.shape
    wide = np.empty((len(score), width), np.float32)
    for y in range(len(score)):
        for x in range(width):
            wide[y, x] = score[y, left[x]] * (one - column_weight[x]) + score[y, right[x]] * column_weight[x]
    for y in range(height):
        above, below, weight = wide[top[y]], wide[bottom[y]], row_weight[y]
        for x in range(width):
            resized[y, x] = above[x] * (one - weight) + below[x] * weight


@njit(cache=True, nogil=True)
def _claim(
    score: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
    row_weight: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    column_weight: np.ndarray,
    label: int,
    labels: np.ndarray,
    best: np.ndarray,
) -> None:
    """Give the label to the pixels where the resized score exceeds the best so far."""
    one = np.float32(1)
    line = np.empty(score.shape[1], np.float32)
    for y in range(len(top)):
        above, below, weight = score[top[y]], score[bottom[y]], row_weight[y]
        for x in range(len(line)):
            line[x] = above[x] * (one - weight) + below[x] * weight
        # background is the least of the best scores: most lines of most maps end here
        if line.max() <= best[y].min():
            continue
        for x in range(len(left)):
            value = line[left[x]] * (one - column_weight[x]) + line[right[x]] * column_weight[x]
            if value > best[y, x]:
                best[y, x] = value
                labels[y, x] = label


@dataclass(frozen=True)
class Fragment:
    """A 4-connected component of the mask of one map.

    Attributes:
        index: of the map, 0…n − 1.
        mask: (height, width) bool, cropped to the bounding box.
        top: first row of the box.
        left: first column of the box.
        area: pixels.
        score: largest score inside; 0 if the area is under the bound.
    """

    index: int
    mask: NDArray[np.bool_]
    top: int
    left: int
    area: int
    score: float


def label_fragments(
    labels: NDArray[np.int32], best: NDArray[np.float32], *, min_area: float
) -> Iterator[Fragment]:
    """Fragments of a label map, found within the bounding box of each map, so that large photos are cheap.

    Args:
        labels: (H, W) int32 as `label_scores` returns them.
        best: (H, W) float32, the score of each pixel's label.
        min_area: fragments of fewer pixels get score 0.

    Yields:
        The fragments, in the order of the maps, then in raster order of their first pixels.
    """
    for index, box in enumerate(ndimage.find_objects(labels)):
        if box is not None:
            corner = box[0].start, box[1].start
            yield from mask_fragments(
                index, labels[box] == index + 1, best[box], corner=corner, min_area=min_area
            )


def mask_fragments(
    index: int,
    mask: NDArray[np.bool_],
    score: NDArray[np.float32],
    *,
    corner: tuple[int, int] = (0, 0),
    min_area: float,
) -> Iterator[Fragment]:
    """Components of a mask and its scores, both cropped to a box with its first pixel at `corner`."""
    components, _ = ndimage.label(mask)
    for number, part in enumerate(ndimage.find_objects(components), start=1):
        inside = components[part] == number
        area = int(inside.sum())
        top, left = corner[0] + part[0].start, corner[1] + part[1].start
        yield Fragment(
            index, inside, top, left, area, float(score[part][inside].max()) if area >= min_area else 0.0
        )
