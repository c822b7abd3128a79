"""Polygons of COCO annotations as masks, pixel for pixel as the COCO API fills them (common/maskApi.c)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

UPSAMPLING = 5


def polygon_mask(polygon: Sequence[float], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Fill one polygon by the even-odd rule.

    Args:
        polygon: x0, y0, x1, y1, … in pixels; closed without repeating the first point.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        (height, width) bool.
    """
    corners = np.trunc(UPSAMPLING * np.asarray(polygon, dtype=np.float64).reshape(-1, 2) + 0.5).astype(
        np.int64
    )
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    x, y = np.concatenate([_edge_points(start, end) for start, end in edges]).T

    # Down each column of the mask, inside and outside change where the outline crosses it.
    step = np.flatnonzero(x[1:] != x[:-1])
    column = (np.minimum(x[step], x[step + 1]) + 0.5) / UPSAMPLING - 0.5
    row = np.ceil(np.clip((np.minimum(y[step], y[step + 1]) + 0.5) / UPSAMPLING - 0.5, 0, height))
    in_centre = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    crossing = (column[in_centre] * height + row[in_centre]).astype(np.int64)
    changes = np.bincount(crossing, minlength=height * width + 1)[: height * width]
    inside = (np.cumsum(changes) & 1).astype(bool)
    return np.ascontiguousarray(inside.reshape(width, height).T)


def _edge_points(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """All points (x, y) of the raster line from start to end, one per step of its longer extent."""
    extent = np.abs(end - start)
    longer = 0 if extent[0] >= extent[1] else 1
    n_steps = int(extent[longer])
    # The line is rounded from its lower end, so that it is the same in both directions.
    low, high = (end, start) if start[longer] > end[longer] else (start, end)
    slope = (high - low) / max(n_steps, 1)
    points = np.trunc(low + slope * np.arange(n_steps + 1)[:, None] + 0.5).astype(np.int64)
    return points if low is start else points[::-1]
