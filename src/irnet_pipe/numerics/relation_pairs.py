"""Sums over all pairs of pixels with confident labels: what the losses of IRNet and AffinityNet are means of.

A pair joins a source to the pixel at an offset of one half-plane; sources are the pixels from which every
offset stays inside: y < h − r, r ≤ x < w − r with r = radius − 1. It belongs to P⁺bg (both background), P⁺fg
(the same class) or P⁻ (different labels); a pair with a neutral pixel belongs to none (Ahn et al. 2019,
sec. 4.1).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from irnet_pipe.numerics.affinity import path_offsets, seen_from_sources

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

TERMS = ("pos_bg", "pos_fg", "neg", "disp_bg", "disp_fg")
EPSILON = 1e-5
NEUTRAL = 255


def relation_sums(
    boundary: Tensor, displacement: Tensor, label: Tensor, *, radius: int
) -> tuple[Tensor, Tensor]:
    """Sum the five terms over their pair sets, in the whole batch.

    With affinity a, displacement D and position x of a pair (i, j), the terms are −log(a + ε) over P⁺bg and
    over P⁺fg, −log(1 + ε − a) over P⁻, |D_i − D_j|₁/2 over P⁺bg, |D_i − D_j − (x_j − x_i)|₁/2 over P⁺fg.

    Args:
        boundary: (n, h, w) float32 in 0…1.
        displacement: (n, 2, h, w) float32, (dy, dx) in pixels of this grid.
        label: (n, h, w), integer: 0 background, 255 neutral, any other value a class.
        radius: strict bound of the length of an offset, in pixels of this grid.

    Returns:
        sums (5,), differentiable, and the numbers of pairs (5,), float32, in the order of `TERMS`.

    Raises:
        ValueError: the grid is too small to hold a source.
    """
    height, width = label.shape[-2:]
    if height < radius or width < 2 * radius - 1:
        raise ValueError(f"grid is {height}×{width}, but radius {radius} needs {radius}×{2 * radius - 1}")
    sums = compiled_relation_sums if label.device.type == "cpu" else offsetwise_relation_sums
    return sums(boundary, displacement, label, radius=radius)


def compiled_relation_sums(
    boundary: Tensor, displacement: Tensor, label: Tensor, *, radius: int
) -> tuple[Tensor, Tensor]:
    """`relation_sums` on the CPU: one pass computes the sums and their slopes."""
    sums: Tensor
    pairs: Tensor
    sums, pairs = _CompiledSums.apply(boundary, displacement, label, radius)
    return sums, pairs


class _CompiledSums(torch.autograd.Function):
    """The slopes of the five sums are seven maps: small enough to be kept, so nothing is computed twice."""

    @staticmethod
    def forward(
        ctx: Any, boundary: Tensor, displacement: Tensor, label: Tensor, radius: int
    ) -> tuple[Tensor, Tensor]:
        offsets, paths = zip(*path_offsets(radius), strict=True)
        ends = np.cumsum([len(path) for path in paths])
        arrays = _pair_sums(
            boundary.detach().contiguous().numpy(),
            displacement.detach().contiguous().numpy(),
            label.to(torch.int32).contiguous().numpy(),
            np.asarray(offsets, dtype=np.int32),
            np.concatenate(paths).astype(np.int32),
            ends.astype(np.int32),
        )
        sums, pairs, *slopes = (torch.from_numpy(array) for array in arrays)
        ctx.save_for_backward(*slopes)
        pairs = torch.cat([pairs, pairs[:2]]).float()
        ctx.mark_non_differentiable(pairs)
        return sums.float(), pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None]:
        boundary_slope, displacement_slope = ctx.saved_tensors
        return (
            torch.einsum("t,tnhw->nhw", gradient[:3], boundary_slope),
            torch.einsum("t,tnchw->nchw", gradient[3:], displacement_slope),
            None,
            None,
        )


@njit(cache=True)
def _scan_paths(boundary: Floats, path: Ints, y: int, strongest: Floats, peak: Ints) -> None:
    """For each source of row y, find the strongest boundary on its path and the path's index of it."""
    sources = len(strongest)
    reach = (boundary.shape[1] - sources) // 2
    for p in range(len(path)):
        row = boundary[y + path[p, 0], reach + path[p, 1] :]
        if p == 0:
            strongest[:], peak[:] = row[:sources], 0
        for x in range(sources):  # selects in place of branches: this loop is vectorised
            stronger = row[x] > strongest[x]
            peak[x] = p if stronger else peak[x]
            strongest[x] = row[x] if stronger else strongest[x]


@njit(cache=True)
def _pair_sums(
    boundary: Floats, displacement: Floats, label: Ints, offsets: Ints, points: Ints, ends: Ints
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], Floats, Floats]:
    """Return sums (5,), pairs (3,), slopes of three sums by boundary and of two by displacement."""
    n, height, width = boundary.shape
    reach = offsets[:, 1].max()
    epsilon, one, half = np.float32(EPSILON), np.float32(1), np.float32(0.5)
    sums = np.zeros(5)
    pairs = np.zeros(3, np.int64)
    boundary_slope = np.zeros((3, n, height, width), np.float32)
    displacement_slope = np.zeros((2, n, 2, height, width), np.float32)
    strongest = np.empty(width - 2 * reach, np.float32)
    peak = np.empty(width - 2 * reach, np.int32)
    for i in range(n):
        for o in range(len(offsets)):
            dy, dx = offsets[o]
            path = points[ends[o - 1] if o else 0 : ends[o]]
            for y in range(height - reach):
                _scan_paths(boundary[i], path, y, strongest, peak)
                for x in range(reach, width - reach):
                    here, there = label[i, y, x], label[i, y + dy, x + dx]
                    if here == NEUTRAL or there == NEUTRAL:
                        continue
                    top, left = y + path[peak[x - reach], 0], x + path[peak[x - reach], 1]
                    affinity = one - strongest[x - reach]
                    if here != there:
                        pairs[2] += 1
                        sums[2] -= np.log(one + epsilon - affinity)
                        boundary_slope[2, i, top, left] -= one / (one + epsilon - affinity)
                        continue
                    s = 0 if here == 0 else 1
                    pairs[s] += 1
                    sums[s] -= np.log(affinity + epsilon)
                    boundary_slope[s, i, top, left] += one / (affinity + epsilon)
                    for c in range(2):
                        difference = displacement[i, c, y, x] - displacement[i, c, y + dy, x + dx]
                        if s == 1:
                            difference -= offsets[o, c]
                        sums[3 + s] += half * abs(difference)
                        slope = half * np.sign(difference)
                        displacement_slope[s, i, c, y, x] += slope
                        displacement_slope[s, i, c, y + dy, x + dx] -= slope
    return sums, pairs, boundary_slope, displacement_slope


def offsetwise_relation_sums(
    boundary: Tensor, displacement: Tensor, label: Tensor, *, radius: int
) -> tuple[Tensor, Tensor]:
    """`relation_sums` on any device, one offset at a time.

    Each offset is computed again in the backward pass: all pairs at once would take gigabytes.
    """
    sums, pairs = torch.zeros(2, len(TERMS), device=label.device)
    for offset, path in path_offsets(radius):
        summed, counted = checkpoint(
            _sums_of_offset, boundary, displacement, label, offset.tolist(), path.tolist(), radius,
            use_reentrant=False, preserve_rng_state=False,
        )  # fmt: skip
        sums = sums + summed
        pairs = pairs + counted
    return sums, pairs


def _sums_of_offset(
    boundary: Tensor,
    displacement: Tensor,
    label: Tensor,
    offset: list[int],
    path: list[list[int]],
    radius: int,
) -> tuple[Tensor, Tensor]:
    def at(field: Tensor, point: list[int]) -> Tensor:
        return seen_from_sources(field, point, radius=radius)

    background, foreground, negative = _pair_sets(at(label, [0, 0]), at(label, offset))
    affinity = 1 - torch.stack([at(boundary, point) for point in path]).max(0).values
    positive_loss = -torch.log(affinity + EPSILON)
    negative_loss = -torch.log(1 + EPSILON - affinity)
    difference = at(displacement, [0, 0]) - at(displacement, offset)
    step = difference.new_tensor(offset).view(2, 1, 1)
    background_distance = difference.abs().sum(1) / 2
    foreground_distance = (difference - step).abs().sum(1) / 2

    losses = [positive_loss, positive_loss, negative_loss, background_distance, foreground_distance]
    members = [background, foreground, negative, background, foreground]
    sums = torch.stack([(loss * member).sum() for loss, member in zip(losses, members, strict=True)])
    return sums, torch.stack([member.sum() for member in members])


def affinity_sums(affinity: Tensor, label: Tensor, *, radius: int) -> tuple[Tensor, Tensor]:
    """The first three sums of `relation_sums`, of affinities that are given; on any device.

    Args:
        affinity: (n, offsets, h − r, w − 2r) float32, of each source with the pixel at each offset.
        label: (n, h, w), as there.
        radius: as there.

    Returns:
        sums (3,), differentiable, and the numbers of pairs (3,), float32.
    """
    here = seen_from_sources(label, (0, 0), radius=radius)[:, None]
    there = [seen_from_sources(label, offset, radius=radius) for offset, _ in path_offsets(radius)]
    members = _pair_sets(here, torch.stack(there, 1))
    positive_loss = -torch.log(affinity + EPSILON)
    negative_loss = -torch.log(1 + EPSILON - affinity)
    losses = (positive_loss, positive_loss, negative_loss)
    sums = torch.stack([(loss * member).sum() for loss, member in zip(losses, members, strict=True)])
    return sums, torch.stack([member.sum() for member in members]).float()


def _pair_sets(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which pairs of labels belong to P⁺bg, to P⁺fg and to P⁻."""
    confident = (here != NEUTRAL) & (there != NEUTRAL)
    alike = confident & (here == there)
    return alike & (here == 0), alike & (here != 0), confident & (here != there)
