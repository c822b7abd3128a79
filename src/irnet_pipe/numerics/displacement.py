"""Refinement of the displacement field into centroids (Ahn et al. 2019, sec. 4.1)."""

import numpy as np
import numpy.typing as npt
from numba import njit


def refine_centroids(
    displacement: npt.NDArray[np.float32], *, max_iterations: int = 300
) -> npt.NDArray[np.int64]:
    """Follow the displacement field from every pixel to the centroid of its instance.

    Each step adds the displacement, read bilinearly at the position reached so far, and clips to the grid.

    Args:
        displacement: (2, h, w) float32, (dy, dx) in pixels of the grid, finite.
        max_iterations: steps; most pixels come to rest in far fewer.

    Returns:
        (2, h, w) int64, (y, x) of the centroid that each pixel points to, rounded half to even.

    Raises:
        ValueError: a displacement is not finite.
    """
    if not np.isfinite(displacement).all():
        # a position that is not a number would be read as an index
        raise ValueError("displacement holds values that are not finite: the boundary of each is ±3.4e38")
    field = np.ascontiguousarray(displacement, dtype=np.float32)
    positions = np.empty_like(field)
    _refine(field, max_iterations, positions)
    return positions.round().astype(np.int64)


@njit(cache=True, nogil=True)
def _refine(field: np.ndarray, max_iterations: int, positions: np.ndarray) -> None:
    _, height, width = field.shape
    for row in range(height):
        for column in range(width):
            y, x = np.float32(row), np.float32(column)
            last_y, last_x = np.float32(-1), np.float32(-1)
            for step in range(max_iterations):
                next_y, next_x = _step(field, y, x)
                if next_y == y and next_x == x:
                    break
                if next_y == last_y and next_x == last_x:
                    # a cycle of two positions: the parity of the steps left tells which one is the last
                    if (max_iterations - step) % 2 == 1:
                        y, x = next_y, next_x
                    break
                last_y, last_x, y, x = y, x, next_y, next_x
            positions[0, row, column] = y
            positions[1, row, column] = x


@njit(cache=True, nogil=True)
def _step(field: np.ndarray, y: np.float32, x: np.float32) -> tuple[np.float32, np.float32]:
    """One step. Positions are float32 and the interpolation float64, in the reference's order of terms."""
    _, height, width = field.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    bottom, right = int(np.ceil(y)), int(np.ceil(x))
    v, u = np.float64(y) - top, np.float64(x) - left
    dy = (
        field[0, bottom, right] * v * u
        + field[0, bottom, left] * v * (1 - u)
        + field[0, top, right] * (1 - v) * u
        + field[0, top, left] * (1 - v) * (1 - u)
    )
    dx = (
        field[1, bottom, right] * v * u
        + field[1, bottom, left] * v * (1 - u)
        + field[1, top, right] * (1 - v) * u
        + field[1, top, left] * (1 - v) * (1 - u)
    )
    next_y = min(max(np.float32(y + dy), np.float32(0)), np.float32(height - 1))
    next_x = min(max(np.float32(x + dx), np.float32(0)), np.float32(width - 1))
    return next_y, next_x
