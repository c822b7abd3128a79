"""Affinity of pixel pairs by the distance of their features (Ahn and Kwak 2018, sec. 3.2)."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch.autograd.function import once_differentiable

from irnet_pipe.numerics.affinity import path_offsets, seen_from_sources


def feature_affinity(features: torch.Tensor, *, radius: int) -> torch.Tensor:
    """Affinity of each source pixel with the pixel at each offset of `path_offsets(radius)`, differentiable.

    Args:
        features: (n, c, h, w) float32.
        radius: strict bound on the length of an offset, in pixels; at least 2.

    Returns:
        (n, offsets, h − r, w − 2r) with r = radius − 1: exp(−mean over the channels of |f_i − f_j|). Sources are
        those of `pair_affinity`.

    Raises:
        ValueError: `radius` is under 2, or a map is too small to have a source.
    """
    reach = radius - 1
    height, width = features.shape[-2:]
    if height <= reach or width <= 2 * reach:
        raise ValueError(
            f"feature map is {height}×{width}, but radius {radius} needs {reach + 1}×{2 * reach + 1}"
        )
    distance: torch.Tensor = _Distance.apply(features, radius)
    return torch.exp(-distance)


class _Distance(torch.autograd.Function):
    """Mean absolute difference; autograd would keep all channels of each pair for the backward pass."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, radius: int) -> torch.Tensor:
        ctx.save_for_backward(features)
        ctx.radius = radius
        measure = _distance_compiled if features.device.type == "cpu" else distance_by_torch
        return measure(features, radius)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (features,) = ctx.saved_tensors
        differentiate = _slope_compiled if features.device.type == "cpu" else slope_by_torch
        return differentiate(features, gradient, ctx.radius), None


def distance_by_torch(features: torch.Tensor, radius: int) -> torch.Tensor:
    """(n, c, h, w) → (n, offsets, h − r, w − 2r), the distances; for any device."""
    here = seen_from_sources(features, (0, 0), radius=radius)
    apart = [
        (here - seen_from_sources(features, offset, radius=radius)).abs().mean(1)
        for offset, _ in path_offsets(radius)
    ]
    return torch.stack(apart, 1)


def slope_by_torch(features: torch.Tensor, gradient: torch.Tensor, radius: int) -> torch.Tensor:
    """Gradient by the features of distances whose gradient is (n, offsets, h − r, w − 2r); for any device."""
    total = torch.zeros_like(features)
    share = gradient / features.shape[1]
    here = seen_from_sources(features, (0, 0), radius=radius)
    own = seen_from_sources(total, (0, 0), radius=radius)
    for index, (offset, _) in enumerate(path_offsets(radius)):
        slope = (here - seen_from_sources(features, offset, radius=radius)).sign() * share[:, index, None]
        own += slope
        other = seen_from_sources(total, offset, radius=radius)
        other -= slope
    return total


def _distance_compiled(features: torch.Tensor, radius: int) -> torch.Tensor:
    offsets, pixels = _arrays(features, radius)
    count, height, width = pixels.shape[:3]
    size = (count, len(offsets), height - radius + 1, width - 2 * radius + 2)
    distance = np.empty(size, pixels.dtype)
    _measure(pixels, offsets, distance)
    return torch.from_numpy(distance)


def _slope_compiled(features: torch.Tensor, gradient: torch.Tensor, radius: int) -> torch.Tensor:
    offsets, pixels = _arrays(features, radius)
    total = np.zeros_like(pixels)
    share = (gradient / features.shape[1]).contiguous().numpy()
    _differentiate(pixels, offsets, share, total)
    return torch.from_numpy(total).permute(0, 3, 1, 2)


def _arrays(features: torch.Tensor, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (o, 2), and features (n, h, w, c): the channels of a pixel lie side by side."""
    offsets = np.array([offset for offset, _ in path_offsets(radius)])
    return offsets, features.detach().permute(0, 2, 3, 1).contiguous().numpy()


# sums in any order are vectorised
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _measure(pixels: np.ndarray, offsets: np.ndarray, distance: np.ndarray) -> None:
    count, n_offsets, rows, columns = distance.shape
    channels = pixels.shape[3]
    reach = (pixels.shape[2] - columns) // 2
    for i in range(count):
        for y in range(rows):
            for x in range(columns):
                here = pixels[i, y, reach + x]
                for o in range(n_offsets):
                    there = pixels[i, y + offsets[o, 0], reach + x + offsets[o, 1]]
                    total = np.float32(0)
                    for c in range(channels):
                        total += abs(here[c] - there[c])
                    distance[i, o, y, x] = total / np.float32(channels)


@njit(cache=True, nogil=True)
def _differentiate(pixels: np.ndarray, offsets: np.ndarray, share: np.ndarray, total: np.ndarray) -> None:
    count, n_offsets, rows, columns = share.shape
    channels = pixels.shape[3]
    reach = (pixels.shape[2] - columns) // 2
    for i in range(count):
        for y in range(rows):
            for x in range(columns):
                here, own = pixels[i, y, reach + x], total[i, y, reach + x]
                for o in range(n_offsets):
                    top, left = y + offsets[o, 0], reach + x + offsets[o, 1]
                    there, other = pixels[i, top, left], total[i, top, left]
                    part = share[i, o, y, x]
                    if part == 0:  # most pairs belong to no set
                        continue
                    for c in range(channels):
                        above, below = here[c] > there[c], here[c] < there[c]
                        slope = part if above else (-part if below else np.float32(0))
                        own[c] += slope
                        other[c] -= slope
