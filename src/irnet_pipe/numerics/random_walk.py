"""Random walk of class scores over the affinities of a boundary map (Ahn et al. 2019, sec. 4.2), or of features.

With A the affinities to the power beta, a_ii = 1, and D the diagonal of A's column sums, N steps take the row
x to x·Tᴺ, T = A·D⁻¹. T is similar to the symmetric S = D^-½·A·D^-½: x·Tᴺ = (x·D^½)·Sᴺ·D^-½. The spectrum of S
lies in [−1, 1], where xᴺ is a short sum of Chebyshev polynomials: about 6·√N products with S, not N.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numba import njit
from torch.nn import functional

from irnet_pipe.numerics.affinity import path_maximum, path_offsets
from irnet_pipe.numerics.feature_affinity import feature_affinity

TRUNCATION = 1e-8
"""Sum of the Chebyshev coefficients left out; far under 1e-4, as the walk may spread one pixel over all."""

PLAIN_STEPS = 4
"""Steps taken one by one before the polynomials."""

BLOCK = 1024
"""Pixels whose weights are read once for all maps: those of a block stay in the cache."""


def propagate(
    score: torch.Tensor, boundary: torch.Tensor, *, radius: int = 5, beta: float = 10, exp_times: int = 8
) -> torch.Tensor:
    """Spread scores by 2**exp_times steps of a random walk that boundaries hold back.

    Computed on the device of `score`, not differentiable. The error is under 1e-4 of the largest result.

    Args:
        score: (m, h, w) score maps; multiplied by 1 − boundary before the walk.
        boundary: (h, w) boundary map in [0, 1]; outside of it all is boundary.
        radius: strict bound on the distance between the pixels of a step; at least 2.
        beta: power of the affinities, at least 0.
        exp_times: binary logarithm of the number of steps, at least 0.

    Returns:
        (m, h, w) float32.

    Raises:
        ValueError: `radius` is under 2 or `exp_times` under 0.
    """
    check_steps(exp_times)
    openness = 1 - boundary.to(score.device, torch.float32)
    # (minimum)**beta is the minimum of the powers: one power a pixel instead of one a pair
    return walk_among_open(score.float() * openness, openness**beta, radius=radius, steps=2**exp_times)


def walk_among_open(score: torch.Tensor, openness: torch.Tensor, *, radius: int, steps: int) -> torch.Tensor:
    """Take `steps` steps of the walk, the affinity of a pair being the least openness on the path between.

    Args:
        score: (m, h, w) float32.
        openness: (h, w) float32, 1 − boundary to the power beta; outside of it is none.
        radius: strict bound on the distance between the pixels of a step; at least 2.
        steps: at least 1.

    Returns:
        (m, h, w) float32.

    Raises:
        ValueError: `radius` is under 2.
    """
    reach = radius - 1
    padded = functional.pad(openness, (reach, reach, 0, reach))
    affinity = -path_maximum(-padded[None], radius=radius)[0]
    return walk(score, affinity, radius=radius, steps=steps)


def propagate_features(
    score: torch.Tensor, features: torch.Tensor, *, radius: int = 5, beta: float = 8, exp_times: int = 8
) -> torch.Tensor:
    """Spread scores by 2**exp_times steps of a random walk among similar features (Ahn and Kwak 2018, sec. 3.3).

    As in the reference, pairs whose source is none of `feature_affinity` are left out: those that start in the last
    radius − 1 rows, or in as many outer columns. A map too small to have a source stays as it is. Computed on the
    device of `score`, not differentiable.

    Args:
        score: (k, h, w) score maps.
        features: (c, h, w).
        radius: strict bound on the distance between the pixels of a step; at least 2.
        beta: power of the affinities, at least 0.
        exp_times: binary logarithm of the number of steps, at least 0.

    Returns:
        (k, h, w) float32.

    Raises:
        ValueError: `radius` is under 2 or `exp_times` under 0.
    """
    check_steps(exp_times)
    reach, (height, width) = radius - 1, score.shape[1:]
    if height <= reach or width <= 2 * reach:
        return score.float()
    affinity = feature_affinity(features[None].to(score.device, torch.float32), radius=radius)[0] ** beta
    sources = functional.pad(affinity, (reach, reach, 0, reach))
    return walk(score.float(), sources, radius=radius, steps=2**exp_times)


def check_steps(exp_times: int) -> None:
    """Refuse a number of steps below one.

    Raises:
        ValueError: `exp_times` is under 0.
    """
    if exp_times < 0:
        raise ValueError(f"exp_times is {exp_times}, but must be at least 0: the walk has 2**exp_times steps")


def walk(score: torch.Tensor, affinity: torch.Tensor, *, radius: int, steps: int) -> torch.Tensor:
    """Take `steps` steps of the walk.

    Args:
        score: (m, h, w) float32.
        affinity: (offsets, h, w) float32, of each pixel with that at each offset of `path_offsets(radius)`,
            to the power beta; zero where that lies outside.
        radius: strict bound on the distance between the pixels of a step.
        steps: at least 1.

    Returns:
        (m, h, w) float32.
    """
    grid = PaddedGrid(score.shape[1], score.shape[2], radius - 1)
    stencil = build_stencil(affinity, grid, radius=radius)
    spread = _power(stencil, grid.pad(score) * stencil.root_degree, power=steps)
    return grid.crop(spread) / grid.crop(stencil.root_degree)


@dataclass(frozen=True)
class PaddedGrid:
    """A grid laid out as one row, with zeros between its rows and around it: an offset is one shift."""

    height: int
    width: int
    reach: int

    @property
    def stride(self) -> int:
        """Distance between a pixel and the one below."""
        return self.width + self.reach

    @property
    def margin(self) -> int:
        """Zeros before the first row and after the last: the largest shift."""
        return self.reach * (self.stride + 1)

    def pad(self, maps: torch.Tensor) -> torch.Tensor:
        """(…, h, w) maps → (…, l) on the padded grid."""
        return functional.pad(functional.pad(maps, (0, self.reach)).flatten(-2), (self.margin, self.margin))

    def crop(self, padded: torch.Tensor) -> torch.Tensor:
        """(…, l) on the padded grid → (…, h, w) maps."""
        rows = padded[..., self.margin : padded.shape[-1] - self.margin]
        return rows.reshape(*padded.shape[:-1], self.height, self.stride)[..., : self.width]


@dataclass(frozen=True)
class Stencil:
    """The matrix S on a padded grid of length l, as the Laplacian I − S.

    At an isolated pixel S is almost 1, and rounding it would lose what little it exchanges with its
    neighbours; I − S keeps that.

    Attributes:
        weights: (offsets, l) float32, S between the pixel and the one `shifts` further on.
        shifts: distance of each offset on the padded grid.
        margin: zeros at either end of the padded grid.
        diagonal: (l,) float32 of I − S.
        root_degree: (l,) float32, D^½; zero on the padding.
    """

    weights: torch.Tensor
    shifts: tuple[int, ...]
    margin: int
    diagonal: torch.Tensor
    root_degree: torch.Tensor


def build_stencil(affinity: torch.Tensor, grid: PaddedGrid, *, radius: int) -> Stencil:
    """Normalise (offsets, h, w) affinities to S; float64 where a rounding would act in each step."""
    shifts = tuple(int(dy * grid.stride + dx) for (dy, dx), _ in path_offsets(radius))
    weights = grid.pad(affinity)
    ones = grid.pad(torch.ones_like(affinity[0], dtype=torch.float64))
    root = (ones + _neighbour_sum(weights, shifts, ones, margin=grid.margin)).sqrt() * ones
    inverse = grid.pad(1 / grid.crop(root))
    inside = slice(grid.margin, len(ones) - grid.margin)
    for plane, shift in zip(weights, shifts, strict=True):
        plane[inside] *= (inverse[inside] * _shifted(inverse, shift, margin=grid.margin)).float()
    # from the rounded weights, so that D^½ stays an eigenvector of eigenvalue 1
    diagonal = inverse * _neighbour_sum(weights, shifts, root, margin=grid.margin)
    return Stencil(weights, shifts, grid.margin, diagonal.float(), root.float())


def _shifted(values: torch.Tensor, shift: int, *, margin: int) -> torch.Tensor:
    """(…, l) → (…, l − 2·margin): what lies `shift` further on, as seen from inside of the margins."""
    return values[..., margin + shift : values.shape[-1] - margin + shift]


def _neighbour_sum(
    weights: torch.Tensor, shifts: tuple[int, ...], values: torch.Tensor, *, margin: int
) -> torch.Tensor:
    """(…, l) sum of the neighbours' values, in both directions of each offset."""
    total = torch.zeros_like(values)
    inside = _shifted(total, 0, margin=margin)
    for plane, shift in zip(weights, shifts, strict=True):
        inside += _shifted(plane, 0, margin=margin) * _shifted(values, shift, margin=margin)
        inside += _shifted(plane, -shift, margin=margin) * _shifted(values, -shift, margin=margin)
    return total


@lru_cache
def chebyshev_coefficients(power: int) -> tuple[float, ...]:
    """Of x**power in the Chebyshev polynomials T_0, T_1, …, less a tail that sums to TRUNCATION at most."""
    coefficients = [0.0] * (power + 1)
    value = math.comb(power, power // 2) / 2 ** (power - power % 2)
    for degree in range(power % 2, power + 1, 2):
        coefficients[degree] = value
        value *= (power - degree) / (power + degree + 2) * (1 if degree else 2)
    tails = np.cumsum(coefficients[::-1])[::-1]
    return tuple(coefficients[: int((tails > TRUNCATION).sum())])


def _power(stencil: Stencil, start: torch.Tensor, *, power: int) -> torch.Tensor:
    """Sᴺ·start for N = `power` and (m, l) maps on the padded grid.

    The first steps are plain products: they spread single pixels, whose full height would otherwise set the
    rounding errors of the sum of polynomials, while the result may be a thousand times lower.
    """
    plain = min(power // 2, PLAIN_STEPS)
    for _ in range(plain):
        before, start = start, start.clone()
        _subtract_laplacian(stencil, before, start, 1)
    return _chebyshev_power(stencil, start, power=power - plain)


def _chebyshev_power(stencil: Stencil, start: torch.Tensor, *, power: int) -> torch.Tensor:
    """Sᴺ·start by the Chebyshev polynomials T_k of S.

    Their recurrence T_k+1 = 2·S·T_k − T_k−1 is taken by differences, T_k+1 − T_k = T_k − T_k−1 − 2·(I − S)·T_k
    (Reinsch's form): near eigenvalue 1, all that a long walk leaves, rounding errors grow much less.
    """
    coefficients = chebyshev_coefficients(power)
    total = coefficients[0] * start
    term, difference = start.clone(), torch.zeros_like(start)
    for degree, coefficient in enumerate(coefficients[1:], start=1):
        _subtract_laplacian(stencil, term, difference, 1 if degree == 1 else 2)
        term += difference
        total.add_(term, alpha=coefficient)
    return total


def _subtract_laplacian(stencil: Stencil, values: torch.Tensor, result: torch.Tensor, factor: int) -> None:
    """Take factor·(I − S)·values off the result."""
    subtract = _subtract_compiled if values.device.type == "cpu" else _subtract_by_torch
    subtract(stencil, values, result, factor)


def _subtract_by_torch(stencil: Stencil, values: torch.Tensor, result: torch.Tensor, factor: int) -> None:
    neighbours = _neighbour_sum(stencil.weights, stencil.shifts, values, margin=stencil.margin)
    result -= factor * (stencil.diagonal * values - neighbours)


def _subtract_compiled(stencil: Stencil, values: torch.Tensor, result: torch.Tensor, factor: int) -> None:
    weights, diagonal = stencil.weights.numpy(), stencil.diagonal.numpy()
    _add_stencil(
        weights, np.array(stencil.shifts), diagonal, values.numpy(), factor, stencil.margin, result.numpy()
    )


# contraction to fused multiply-add alone: the order of the terms stays
@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_stencil(
    weights: np.ndarray,
    shifts: np.ndarray,
    diagonal: np.ndarray,
    values: np.ndarray,
    factor: int,
    margin: int,
    result: np.ndarray,
) -> None:
    length = values.shape[1]
    scale = np.float32(factor)
    total = np.empty(BLOCK, np.float32)
    for start in range(margin, length - margin, BLOCK):
        end = min(start + BLOCK, length - margin)
        for index in range(len(values)):
            row = values[index]
            here, own, out = row[start:end], diagonal[start:end], result[index, start:end]
            for x in range(end - start):
                total[x] = -own[x] * here[x]
            for offset, shift in enumerate(shifts):
                after, weight_after = row[start + shift : end + shift], weights[offset, start:end]
                backwards = slice(start - shift, end - shift)
                before, weight_before = row[backwards], weights[offset, backwards]
                for x in range(end - start):
                    total[x] += weight_after[x] * after[x] + weight_before[x] * before[x]
            for x in range(end - start):
                out[x] += scale * total[x]
