"""Affinity of pixel pairs: 1 − the strongest boundary on the path between (Ahn et al. 2019, sec. 3.2)."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
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
        ctx.radius, ctx.shape = radius, field.shape
        size = (
            field.shape[0],
            len(_paths(radius)),
            field.shape[1] - radius + 1,
            field.shape[2] - 2 * radius + 2,
        )
        maximum = field.new_empty(size)
        position = field.new_zeros(size, dtype=torch.uint8) if ctx.needs_input_grad[0] else None
        for index, (_, path) in enumerate(_paths(radius)):
            views = list(_shifted(field, path, radius=radius))
            largest = maximum[:, index].copy_(views[0])
            for step, view in enumerate(views[1:], start=1):
                if position is not None:
                    position[:, index].masked_fill_(view > largest, step)
                torch.maximum(largest, view, out=largest)
        ctx.position = position
        return maximum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradient.new_zeros(ctx.shape)
        for index, (_, path) in enumerate(_paths(ctx.radius)):
            for step, view in enumerate(_shifted(total, path, radius=ctx.radius)):
                view += gradient[:, index] * (ctx.position[:, index] == step)
        return total, None


def _shifted(field: torch.Tensor, path: Path, *, radius: int) -> Iterator[torch.Tensor]:
    """Views of `field` at each point of the path, as seen from all sources."""
    reach = radius - 1
    rows, columns = field.shape[1] - reach, field.shape[2] - 2 * reach
    for dy, dx in path:
        yield field[:, dy : dy + rows, reach + dx : reach + dx + columns]
