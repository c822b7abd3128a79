"""Label maps of scores, and scored instances (Ahn et al. 2019, sec. 4.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from scipy import ndimage
from torch.nn import functional


def decode_maps(
    score: torch.Tensor,
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> torch.Tensor:
    """Label each pixel with the map of the highest score, or as background; see `decode_scored_maps`."""
    return decode_scored_maps(score, size=size, full_size=full_size, bg_threshold=bg_threshold)[0]


def decode_scored_maps(
    score: torch.Tensor,
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label each pixel with the map of the highest score, or as background, and keep that score.

    The maps are enlarged fourfold, cropped to `size`, divided by the largest value of all and resized to
    `full_size`, each bilinearly and one at a time: memory does not grow with their number.

    Args:
        score: (n, h, w) non-negative score maps on the stride-4 grid.
        size: (H, W) of the photo as processed.
        full_size: (H0, W0) of the photo itself; `size` if None.
        bg_threshold: score of the background; of equal scores, background comes first, then the lower map.

    Returns:
        `labels` (H0, W0) int32, 0 background, i + 1 map i; `best` (H0, W0) float32, the score of the label;
        on the CPU.
    """
    peak = _peak(score, size, stride=4)
    maps = (_enlarge(one, size, stride=4) / peak for one in score)
    return label_pixels(maps, size=size, full_size=full_size, bg_threshold=bg_threshold)


def decode_with_background(
    score: torch.Tensor, *, size: tuple[int, int], full_size: tuple[int, int] | None = None, stride: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label each pixel with the map of the highest score, of which the first is the background.

    The maps are enlarged, cropped, divided by the largest value of all but the first and resized, as
    `decode_scored_maps` does.

    Args:
        score: (1 + n, h, w) non-negative score maps.
        size: (H, W) of the photo as processed.
        full_size: (H0, W0) of the photo itself; `size` if None.
        stride: of the maps, pixels.

    Returns:
        `labels` and `best`, see `decode_scored_maps`; of equal scores, background comes first, then the lower map.
    """
    peak = _peak(score[1:], size, stride=stride)
    maps = (_enlarge(one, size, stride=stride) / peak for one in score)
    # below every score: the background is a map like the others
    labels, best = label_pixels(maps, size=size, full_size=full_size, bg_threshold=-1)
    return labels - 1, best


def label_pixels(
    maps: Iterable[torch.Tensor],
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label each pixel with the map of the highest score, or as background, and keep that score.

    Args:
        maps: (H, W) float32 score maps in 0…1, taken one at a time.
        size: (H, W) of the maps.
        full_size: (H0, W0) that they are resized to, bilinearly; `size` if None.
        bg_threshold: score of the background; of equal scores, background comes first, then the lower map.

    Returns:
        `labels` (H0, W0) int32, 0 background, i + 1 map i; `best` (H0, W0) float32, the score of the label;
        on the CPU.
    """
    height, width = full_size or size
    rows, columns = _bilinear_taps(size[0], height), _bilinear_taps(size[1], width)
    labels = np.zeros((height, width), np.int32)
    best = np.full((height, width), bg_threshold, np.float32)
    for label, one in enumerate(maps, start=1):
        _claim(one.cpu().contiguous().numpy(), *rows, *columns, label, labels, best)
    return torch.from_numpy(labels), torch.from_numpy(best)


def _peak(score: torch.Tensor, size: tuple[int, int], *, stride: int) -> float:
    """Largest value of maps once enlarged."""
    # without any positive score all is background, and nothing is divided by zero
    return max((float(_enlarge(one, size, stride=stride).max()) for one in score), default=0.0) or 1.0


def _enlarge(score: torch.Tensor, size: tuple[int, int], *, stride: int) -> torch.Tensor:
    """(h, w) → (H, W), contiguous on the CPU."""
    enlarged = functional.interpolate(
        score.cpu().float()[None, None], scale_factor=stride, mode="bilinear", align_corners=False
    )
    return enlarged[0, 0, : size[0], : size[1]].contiguous()


def _bilinear_taps(length: int, resized: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower index, upper index and weight of the upper for each resized position (align_corners false)."""
    position = np.maximum((np.arange(resized) + 0.5) * (length / resized) - 0.5, 0)
    lower = position.astype(np.int64)
    return lower, np.minimum(lower + 1, length - 1), (position - lower).astype(np.float32)


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
    mask: np.ndarray
    top: int
    left: int
    area: int
    score: float


def detect_in_label_map(labels: torch.Tensor, best: torch.Tensor, *, min_area: float) -> Iterator[Fragment]:
    """Fragments of a label map, found within the bounding box of each map, so that large photos are cheap.

    Args:
        labels: (H, W) int32 as `decode_scored_maps` returns them.
        best: (H, W) float32, the score of each pixel's label.
        min_area: fragments of fewer pixels get score 0.

    Yields:
        The fragments, in the order of the maps, then in raster order of their first pixels.
    """
    label_map, scores = labels.cpu().numpy(), best.cpu().numpy()
    for index, box in enumerate(ndimage.find_objects(label_map)):
        if box is not None:
            corner = box[0].start, box[1].start
            yield from _fragments(index, label_map[box] == index + 1, scores[box], corner, min_area)


def detect_instances(
    score_maps: torch.Tensor, masks: torch.Tensor, class_id: torch.Tensor, *, min_area: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split masks into their 4-connected components, each scored by its largest score.

    Args:
        score_maps: (n, H, W) float32, non-negative.
        masks: (n, H, W) bool; they may overlap.
        class_id: (n,) int64.
        min_area: components of fewer pixels get score 0.

    Returns:
        `scores` (m,) float32, `masks` (m, H, W) bool, `class_id` (m,) int64, on the CPU; in the order of the
        maps, then in raster order of the components' first pixels.
    """
    found = [
        fragment
        for index, (score, mask) in enumerate(zip(score_maps.cpu().numpy(), masks.cpu().numpy(), strict=True))
        for fragment in _fragments(index, mask, score, (0, 0), min_area)
    ]
    full = torch.zeros(len(found), *masks.shape[1:], dtype=torch.bool)
    for row, fragment in zip(full, found, strict=True):
        height, width = fragment.mask.shape
        row[fragment.top : fragment.top + height, fragment.left : fragment.left + width] = torch.from_numpy(
            fragment.mask
        )
    scores = torch.tensor([fragment.score for fragment in found], dtype=torch.float32)
    return scores, full, class_id.cpu()[[fragment.index for fragment in found]]


def _fragments(
    index: int, mask: np.ndarray, score: np.ndarray, corner: tuple[int, int], min_area: float
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
