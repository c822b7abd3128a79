"""Polygons of COCO annotations as masks, pixel for pixel as the COCO API fills them (common/maskApi.c)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from irnet_pipe.numerics.mask_algebra import runs_between

UPSAMPLING = 5
MAX_COORDINATE = 100_000
"""Pixels; what lies farther out is a mistake, and would take memory."""


def polygon_runs(polygon: Sequence[float], *, size: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Fill one polygon by the even-odd rule.

    Args:
        polygon: x0, y0, x1, y1, … in pixels; closed without repeating the first point.
        size: (H, W) of the mask.

    Returns:
        (runs,) uint32, run lengths down the columns, the first of background.

    Raises:
        ValueError: an odd number of coordinates, or one that is not finite.
    """
    height, width = size
    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    if not (points.size and np.all(np.abs(points) <= MAX_COORDINATE)):
        raise ValueError(f"a polygon of {points.size} numbers, some beyond ±{MAX_COORDINATE}, or none")
    x, y = _outline(np.trunc(UPSAMPLING * points + 0.5).astype(np.int64)).T

    # Down each column of the mask, inside and outside change where the outline crosses it.
    step = np.flatnonzero(x[1:] != x[:-1])
    column = (np.minimum(x[step], x[step + 1]) + 0.5) / UPSAMPLING - 0.5
    row = np.ceil(np.clip((np.minimum(y[step], y[step + 1]) + 0.5) / UPSAMPLING - 0.5, 0, height))
    in_centre = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    crossing = (column[in_centre] * height + row[in_centre]).astype(np.int64)
    places, times = np.unique(crossing, return_counts=True)
    return runs_between(places[times % 2 == 1], size=size)


def _outline(corners: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All points (x, y) of the raster lines from corner to corner, one per step of a line's longer extent."""
    start, end = corners, np.roll(corners, -1, axis=0)
    extent = np.abs(end - start)
    longer = extent.argmax(axis=1)[:, None]
    # A line is rounded from its lower end, so that it is the same in both directions.
    back = np.take_along_axis(start, longer, axis=1) > np.take_along_axis(end, longer, axis=1)
    low, high = np.where(back, end, start), np.where(back, start, end)
    n_steps = extent.max(axis=1)
    slope = (high - low) / np.maximum(n_steps, 1)[:, None]

    line = np.repeat(np.arange(len(corners)), n_steps + 1)
    step = np.arange(len(line)) - np.repeat(np.cumsum(n_steps + 1) - n_steps - 1, n_steps + 1)
    step = np.where(back[line, 0], n_steps[line] - step, step)
    points: npt.NDArray[np.int64] = np.trunc(low[line] + slope[line] * step[:, None] + 0.5).astype(np.int64)
    return points
