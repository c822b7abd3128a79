"""Affinity of pixel pairs: 1 − the strongest boundary on the path between (Ahn et al. 2019, sec. 3.2)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch.autograd.function import once_differentiable

Offset = tuple[int, int]
Path = tuple[Offset, ...]


def path_offsets(radius: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Offsets (dy, dx) shorter than `radius` on one half-plane, each with its path.

    A path holds the lattice points of the bounding box of the offset that lie less than one pixel from
    the segment from (0, 0) to the offset.

    Args:
        radius: strict bound on the length of an offset, in pixels; at least 2.

    Returns:
        `(offset, path)` in raster order of the offsets: `offset` (2,) int64, `path` (length, 2) int64 with
        both ends, the far end first.

    Raises:
        ValueError: `radius` is under 2, which leaves no offset.
    """
    return [(np.array(offset), np.array(path)) for offset, path in _paths(radius)]


@lru_cache
def _paths(radius: int) -> tuple[tuple[Offset, Path], ...]:
    if radius < 2:
        raise ValueError(f"radius is {radius}, but must be at least 2: a smaller one has no pairs")
    offsets = [
        (dy, dx)
        for dy in range(radius)
        for dx in range(1 - radius, radius)
        if (dy, dx) > (0, 0) and dy * dy + dx * dx < radius * radius
    ]
    return tuple((offset, _path(*offset)) for offset in offsets)


def _path(dy: int, dx: int) -> Path:
    columns = range(min(0, dx), max(0, dx) + 1)
    points = [(y, x) for y in range(dy + 1) for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]
    return tuple(sorted(points, key=lambda point: -abs(point[0]) - abs(point[1])))


def pair_affinity(boundary: torch.Tensor, *, radius: int) -> torch.Tensor:
    """Affinity of each source pixel with the pixel at each offset of `path_offsets(radius)`.

    Differentiable; the gradient of a pair goes to the strongest boundary pixel of its path, the first
    along the path if several are equal.

    Args:
        boundary: (n, h, w) boundary maps in [0, 1].
        radius: strict bound on the length of an offset, in pixels; at least 2.

    Returns:
        (n, offsets, sources) 1 − the largest boundary on the path. Sources are the pixels from which every
        offset stays inside, row-major: with r = radius − 1, y < h − r and r <= x < w − r.

    Raises:
        ValueError: `radius` is under 2, or a map is too small to have a source.
    """
    return 1 - path_maximum(boundary, radius=radius).flatten(2)


def path_maximum(field: torch.Tensor, *, radius: int) -> torch.Tensor:
    """Largest value of `field` on each path of `path_offsets(radius)`, differentiable.

    Args:
        field: (n, h, w) real values.
        radius: as in `pair_affinity`.

    Returns:
        (n, offsets, h − r, w − 2r) with r = radius − 1.

    Raises:
        ValueError: as in `pair_affinity`.
    """
    reach = radius - 1
    height, width = field.shape[-2:]
    if height <= reach or width <= 2 * reach:
        raise ValueError(f"map is {height}×{width}, but radius {radius} needs {reach + 1}×{2 * reach + 1}")
    maximum: torch.Tensor = _PathMaximum.apply(field, radius)
    return maximum


class _PathMaximum(torch.autograd.Function):
    """Keeps one byte per pair for the backward pass, where autograd would keep each step of each path."""

    @staticmethod
    def forward(ctx: Any, field: torch.Tensor, radius: int) -> torch.Tensor:
        count, height, width = field.shape
        size = (count, len(_paths(radius)), height - radius + 1, width - 2 * radius + 2)
        maximum, position = field.new_empty(size), field.new_zeros(size, dtype=torch.uint8)
        search = _search_compiled if field.device.type == "cpu" else _search_by_torch
        search(field, radius, maximum, position)
        ctx.radius, ctx.shape, ctx.position = radius, field.shape, position
        return maximum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.new_zeros(ctx.shape)
        scatter = _scatter_compiled if gradient.device.type == "cpu" else _scatter_by_torch
        scatter(gradient, ctx.position, ctx.radius, total)
        return total, None


def _search_by_torch(field: torch.Tensor, radius: int, maximum: torch.Tensor, position: torch.Tensor) -> None:
    """Fill in the largest value of each path and its place along the path; for any device."""
    for index, (_, path) in enumerate(_paths(radius)):
        largest = maximum[:, index].fill_(-torch.inf)
        for step, view in enumerate(_views(field, path, radius=radius)):
            position[:, index].masked_fill_(view > largest, step)
            torch.maximum(largest, view, out=largest)


def _scatter_by_torch(
    gradient: torch.Tensor, position: torch.Tensor, radius: int, total: torch.Tensor
) -> None:
    """Add the gradient of each pair to the pixel that it depends on; for any device."""
    # masked sums in a fixed order: scattering on a GPU would give other bits in each run
    for index, (_, path) in enumerate(_paths(radius)):
        for step, view in enumerate(_views(total, path, radius=radius)):
            view += gradient[:, index] * (position[:, index] == step)


def _views(field: torch.Tensor, path: Path, *, radius: int) -> Iterator[torch.Tensor]:
    """Views of `field` at each point of the path, as seen from all sources."""
    for point in path:
        yield seen_from_sources(field, point, radius=radius)


def seen_from_sources(
    field: torch.Tensor, offset: Sequence[int] | np.ndarray, *, radius: int
) -> torch.Tensor:
    """View (…, h − r, w − 2r) of a field (…, h, w) at an offset (dy, dx) from every source, r = radius − 1."""
    reach, (dy, dx) = radius - 1, offset
    rows, columns = field.shape[-2] - reach, field.shape[-1] - 2 * reach
    return field[..., dy : dy + rows, reach + dx : reach + dx + columns]


def _search_compiled(field: torch.Tensor, radius: int, maximum: torch.Tensor, position: torch.Tensor) -> None:
    points, ends = _path_points(radius)
    _search(field.detach().contiguous().numpy(), points, ends, maximum.numpy(), position.numpy())


def _scatter_compiled(
    gradient: torch.Tensor, position: torch.Tensor, radius: int, total: torch.Tensor
) -> None:
    points, ends = _path_points(radius)
    _scatter(gradient.contiguous().numpy(), position.numpy(), points, ends, total.numpy())


@lru_cache
def _path_points(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """All paths end to end, with dx counted from the first column of a path's reach, and where each ends."""
    paths = [path for _, path in _paths(radius)]
    points = np.array([(dy, radius - 1 + dx) for path in paths for dy, dx in path])
    return points, np.cumsum([len(path) for path in paths])


@njit(cache=True, nogil=True)
def _search(
    field: np.ndarray, points: np.ndarray, ends: np.ndarray, maximum: np.ndarray, position: np.ndarray
) -> None:
    count, offsets, rows, columns = maximum.shape
    for index in range(count):
        for offset in range(offsets):
            begin = ends[offset - 1] if offset else 0
            for y in range(rows):
                largest, place = maximum[index, offset, y], position[index, offset, y]
                dy, dx = points[begin]
                largest[:] = field[index, y + dy, dx : dx + columns]
                for step in range(1, ends[offset] - begin):
                    dy, dx = points[begin + step]
                    values = field[index, y + dy, dx : dx + columns]
                    for x in range(columns):
                        higher = values[x] > largest[x]
                        place[x] = step if higher else place[x]
                        largest[x] = values[x] if higher else largest[x]


@njit(cache=True, nogil=True)
def _scatter(
    gradient: np.ndarray, position: np.ndarray, points: np.ndarray, ends: np.ndarray, total: np.ndarray
) -> None:
    count, offsets, rows, columns = gradient.shape
    for index in range(count):
        for offset in range(offsets):
            begin = ends[offset - 1] if offset else 0
            for y in range(rows):
                for x in range(columns):
                    dy, dx = points[begin + position[index, offset, y, x]]
                    total[index, y + dy, x + dx] += gradient[index, offset, y, x]
