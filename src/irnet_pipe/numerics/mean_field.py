"""Mean field of a fully connected CRF on permutohedral lattices (Krähenbühl & Koltun 2011, algorithm 1)."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import config, njit

from irnet_pipe.numerics.pages import zero_pages
from irnet_pipe.numerics.permutohedral import Floats, Ids, Lattice

Signs = npt.NDArray[np.int8]
Integers = npt.NDArray[np.integer[Any]]

LANES = 4
"""Values are filtered in groups of so many channels, side by side in memory."""

# lets LLVM keep a group in one vector register
config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]

_BLOCK = 256  # pixels whose scores stay in the first-level cache between slice, softmax and splat


class Kernel(NamedTuple):
    """A Gaussian edge kernel, normalised symmetrically, with its compatibility.

    Attributes:
        lattice: filters by the kernel.
        factor: (N,) float32, √compat · D^-½ of each pixel by what its weights sum to; values are multiplied by it
            before and after.
    """

    lattice: Lattice
    factor: Floats


def normalise(lattice: Lattice, compat: float) -> Kernel:
    """The edge kernel of a lattice, its weight `compat` at least 0."""
    kernel = Kernel(lattice, zero_pages((len(lattice.vertex),), np.float32))
    _normalise(kernel, _vertex_values(lattice, 1), np.float32(compat))
    return kernel


def label_odds(labels: Integers, n_labels: int) -> Signs:
    """Log odds of labels 1…n − 1 against label 0 where labels are given, in units of those of the given one.

    Args:
        labels: (maps, N) integers 0…n_labels−1.
        n_labels: number of labels.

    Returns:
        (maps · (n_labels − 1), N) int8: 1 at the given label, −1 for all where that is 0, else 0.
    """
    odds = zero_pages((len(labels) * (n_labels - 1), labels.shape[1]), np.int8)
    _write_odds(labels, odds)
    return odds


def mean_field(
    unary: Floats | Signs, lead: float, n_others: int, gaussian: Kernel, bilateral: Kernel, iterations: int
) -> Floats:
    """Log odds of labels against label 0 after mean field, Potts' model.

    Potentials count up to a constant per pixel, so that Q_l − Q_0 are filtered, one channel less than Q_l.

    Args:
        unary: (maps · n_others, N) float32 or int8, the log odds before by `lead`; maps of one photo share the
            lattices.
        lead: what `unary` is multiplied by.
        n_others: number of labels besides 0.
        gaussian: kernel of the N pixels in position.
        bilateral: kernel in position and colour.
        iterations: number of steps.

    Returns:
        The log odds after, float32, of the shape of `unary`.
    """
    n_groups = -(-len(unary) // LANES)
    near, alike = _vertex_values(gaussian.lattice, n_groups), _vertex_values(bilateral.lattice, n_groups)
    score = zero_pages(unary.shape, np.float32)
    _mean_field(unary, np.float32(lead), n_others, gaussian, bilateral, iterations, near, alike, score)
    return score


def _vertex_values(lattice: Lattice, n_groups: int) -> Floats:
    """Zeros (groups, V, `LANES`)."""
    return zero_pages((n_groups, lattice.chains.shape[1], LANES), np.float32)


@njit(cache=True, nogil=True)
def most_probable(score: Floats, labels: Integers) -> None:
    """Write the labels (maps, N) of the highest of log odds (maps · (n − 1), N) against label 0, whose own are 0."""
    n_others = len(score) // len(labels)
    for m in range(len(labels)):
        for p in range(labels.shape[1]):
            best = np.float32(0)
            labels[m, p] = 0
            for other in range(n_others):
                if score[m * n_others + other, p] > best:
                    best = score[m * n_others + other, p]
                    labels[m, p] = other + 1


@njit(cache=True, nogil=True)
def _write_odds(labels: Integers, odds: Signs) -> None:
    n_others = len(odds) // len(labels)
    for m in range(len(labels)):
        for other in range(n_others):
            for p in range(labels.shape[1]):
                odds[m * n_others + other, p] = int(labels[m, p] == other + 1) - int(labels[m, p] == 0)


@njit(cache=True, nogil=True)
def _mean_field(
    unary: Floats | Signs,
    lead: np.float32,
    n_others: int,
    gaussian: Kernel,
    bilateral: Kernel,
    iterations: int,
    near: Floats,
    alike: Floats,
    score: Floats,
) -> None:
    """Write the scores; `near` and `alike` are zeros, the values of the kernels' vertices."""
    n_channels, n_pixels = unary.shape
    block = np.zeros((len(near) * LANES, _BLOCK), np.float32)
    for step in range(iterations + 1):
        for first in range(0, n_pixels, _BLOCK):
            last = min(first + _BLOCK, n_pixels)
            for c in range(n_channels):
                for p in range(first, last):
                    block[c, p - first] = lead * np.float32(unary[c, p])
            if step > 0:
                _slice(gaussian, first, last, near, block)
                _slice(bilateral, first, last, alike, block)
            if step < iterations:
                _softmax_difference(block[:n_channels], n_others)
            score[:, first:last] = block[:n_channels, : last - first]
        if step < iterations:
            _filter(gaussian, score, block, near)
            _filter(bilateral, score, block, alike)


@njit(cache=True, nogil=True)
def _filter(kernel: Kernel, score: Floats, block: Floats, values: Floats) -> None:
    """Splat (channels, N) scores to the values of vertices and blur; overwrites the block."""
    n_channels, n_pixels = score.shape
    values[:] = 0
    for first in range(0, n_pixels, _BLOCK):
        last = min(first + _BLOCK, n_pixels)
        block[:n_channels, : last - first] = score[:, first:last]
        _splat(kernel, first, last, block, values)
    _blur(kernel.lattice.chains, values)


@njit(cache=True, nogil=True)
def _normalise(kernel: Kernel, values: Floats, compat: np.float32) -> None:
    """Write the kernel's factor; `values` (1, V, `LANES`) are zeros."""
    n_pixels = len(kernel.factor)
    kernel.factor[:] = 1
    block = np.ones((LANES, _BLOCK), np.float32)
    for first in range(0, n_pixels, _BLOCK):
        _splat(kernel, first, min(first + _BLOCK, n_pixels), block, values)
    _blur(kernel.lattice.chains, values)
    for first in range(0, n_pixels, _BLOCK):
        last = min(first + _BLOCK, n_pixels)
        block[:] = 0
        _slice(kernel, first, last, values, block)
        for p in range(first, last):
            kernel.factor[p] = np.sqrt(compat / block[0, p - first])


@njit(cache=True, nogil=True)
def _splat(kernel: Kernel, first: int, last: int, pixels: Floats, values: Floats) -> None:
    """Add (channels, pixels first…last − 1) to the values (groups, V, `LANES`) of their vertices."""
    lattice = kernel.lattice
    vertex, weight, factor = lattice.vertex[first:last], lattice.weight[first:last], kernel.factor[first:last]
    for g in range(len(values)):
        group = values[g]
        source = pixels[g * LANES : (g + 1) * LANES]
        for p in range(len(vertex)):
            f = factor[p]
            x0, x1, x2, x3 = f * source[0, p], f * source[1, p], f * source[2, p], f * source[3, p]
            for r in range(len(lattice.scale) + 1):
                v = vertex[p, r]
                w = np.float32(weight[p, r])
                group[v, 0] += w * x0
                group[v, 1] += w * x1
                group[v, 2] += w * x2
                group[v, 3] += w * x3


@njit(cache=True, nogil=True)
def _slice(kernel: Kernel, first: int, last: int, values: Floats, pixels: Floats) -> None:
    """Add to (channels, pixels first…last − 1) what their vertices hold; the transpose of `_splat`."""
    lattice = kernel.lattice
    vertex, weight, factor = lattice.vertex[first:last], lattice.weight[first:last], kernel.factor[first:last]
    lanes = np.empty(LANES, np.float32)
    for g in range(len(values)):
        group = values[g]
        target = pixels[g * LANES : (g + 1) * LANES]
        for p in range(len(vertex)):
            x0 = x1 = x2 = x3 = np.float32(0)
            for r in range(len(lattice.scale) + 1):
                v = vertex[p, r]
                w = np.float32(weight[p, r])
                x0 += w * group[v, 0]
                x1 += w * group[v, 1]
                x2 += w * group[v, 2]
                x3 += w * group[v, 3]
            # LLVM finds vectors from stores that are neighbours in memory
            lanes[0], lanes[1], lanes[2], lanes[3] = x0, x1, x2, x3
            f = factor[p]
            for c in range(LANES):
                target[c, p] += f * lanes[c]


@njit(cache=True, nogil=True)
def _blur(chains: Ids, values: Floats) -> None:
    """Blur the values (groups, V, `LANES`) by (½, 1, ½) along every axis in turn, in place."""
    half = np.float32(0.5)
    n = chains.shape[1]
    for g in range(len(values)):
        group = values[g]
        for axis in range(len(chains)):
            order = chains[axis]
            v = order[0] >> 1
            before0 = before1 = before2 = before3 = np.float32(0)
            here0, here1, here2, here3 = group[v, 0], group[v, 1], group[v, 2], group[v, 3]
            for i in range(n):
                # 0 at the end of a chain, where neither neighbour counts for the other
                linked = np.float32(order[i] & 1)
                u = order[min(i + 1, n - 1)] >> 1
                next0, next1, next2, next3 = group[u, 0], group[u, 1], group[u, 2], group[u, 3]
                group[v, 0] = here0 + half * (before0 + linked * next0)
                group[v, 1] = here1 + half * (before1 + linked * next1)
                group[v, 2] = here2 + half * (before2 + linked * next2)
                group[v, 3] = here3 + half * (before3 + linked * next3)
                before0, before1 = linked * here0, linked * here1
                before2, before3 = linked * here2, linked * here3
                here0, here1, here2, here3 = next0, next1, next2, next3
                v = u


@njit(cache=True, nogil=True)
def _exp(x: np.float32) -> np.float32:
    """e^x for x ≤ 0, to 5e-6; below −80 that of −80. Unlike the library's, it runs in vector registers."""
    binary = max(x, np.float32(-80)) * np.float32(1.4426950408889634)
    # adding and taking off 1.5·2^23 rounds to an integer (but not with fastmath)
    whole = (binary + np.float32(12582912)) - np.float32(12582912)
    part = binary - whole
    # minimax polynomial of 2^part on [-½, ½]
    power = np.float32(1.535336188e-4)
    power = power * part + np.float32(1.339887440e-3)
    power = power * part + np.float32(9.618437358e-3)
    power = power * part + np.float32(5.550332471e-2)
    power = power * part + np.float32(2.402264791e-1)
    power = power * part + np.float32(6.931472029e-1)
    power = power * part + np.float32(1)
    # 2^whole, by its bits
    return power * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")  # a test of each divisor would forbid vectors
def _softmax_difference(score: Floats, n_others: int) -> None:
    """From log odds z_l of labels against label 0 to Q_l − Q_0, in place; (maps · n_others, pixels)."""
    n_pixels = score.shape[1]
    peak = np.empty(n_pixels, np.float32)
    zero = np.empty(n_pixels, np.float32)
    total = np.empty(n_pixels, np.float32)
    for first in range(0, len(score), n_others):
        peak[:] = 0
        for row in range(first, first + n_others):
            for p in range(n_pixels):
                peak[p] = max(peak[p], score[row, p])
        for p in range(n_pixels):
            zero[p] = _exp(-peak[p])
            total[p] = zero[p]
        for row in range(first, first + n_others):
            for p in range(n_pixels):
                score[row, p] = _exp(score[row, p] - peak[p])
                total[p] += score[row, p]
        for row in range(first, first + n_others):
            for p in range(n_pixels):
                score[row, p] = (score[row, p] - zero[p]) / total[p]
