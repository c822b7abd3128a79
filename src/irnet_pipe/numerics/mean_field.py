"""Mean field of a fully connected CRF on permutohedral lattices (Krähenbühl & Koltun 2011, algorithm 1)."""

import numpy as np
import numpy.typing as npt
from numba import config, njit

from irnet_pipe.numerics.permutohedral import Floats, Ids, Lattice

Signs = npt.NDArray[np.int8]

LANES = 4
"""Values are filtered in groups of so many channels, side by side in memory."""

# lets LLVM keep a group in one vector register
config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]

_BLOCK = 256  # pixels whose scores stay in the first-level cache between slice, softmax and splat


def normalise(lattice: Lattice, compat: float) -> Lattice:
    """Put √compat · D^-½ into the weights, in place, so that splat, blur, slice is the whole edge term."""
    _normalise(lattice, np.float32(compat))
    return lattice


@njit(cache=True, nogil=True)
def mean_field(
    unary: Floats | Signs,
    lead: np.float32,
    n_others: int,
    gaussian: Lattice,
    bilateral: Lattice,
    iterations: int,
) -> Floats:
    """Log odds of labels against label 0 after mean field, Potts' model.

    Potentials count up to a constant per pixel, so that Q_l − Q_0 are filtered, one channel less than Q_l.

    Args:
        unary: (maps · n_others, N) float32 or int8, the log odds before by `lead`; maps of one photo share the
            lattices.
        lead: what `unary` is multiplied by.
        n_others: number of labels besides 0.
        gaussian: normalised lattice of the N pixels in position.
        bilateral: normalised lattice in position and colour.
        iterations: number of steps.

    Returns:
        The log odds after, float32, of the shape of `unary`.
    """
    n_channels, n_pixels = unary.shape
    n_groups = (n_channels + LANES - 1) // LANES
    score = np.zeros((n_groups * LANES, _BLOCK), np.float32)
    refined = np.empty(unary.shape, np.float32)
    near = np.zeros((n_groups, gaussian.chains.shape[1], LANES), np.float32)
    alike = np.zeros((n_groups, bilateral.chains.shape[1], LANES), np.float32)
    next_near, next_alike = np.empty_like(near), np.empty_like(alike)
    for step in range(iterations + 1):
        next_near[:] = 0
        next_alike[:] = 0
        for first in range(0, n_pixels, _BLOCK):
            last = min(first + _BLOCK, n_pixels)
            for c in range(n_channels):
                for p in range(first, last):
                    score[c, p - first] = lead * np.float32(unary[c, p])
            _slice(gaussian, first, last, near, score)
            _slice(bilateral, first, last, alike, score)
            if step == iterations:
                refined[:, first:last] = score[:n_channels, : last - first]
            else:
                _softmax_difference(score[:n_channels], n_others)
                _splat(gaussian, first, last, score, next_near)
                _splat(bilateral, first, last, score, next_alike)
        near, next_near = next_near, near
        alike, next_alike = next_alike, alike
        if step < iterations:
            _blur(gaussian.chains, near)
            _blur(bilateral.chains, alike)
    return refined


@njit(cache=True, nogil=True)
def _normalise(lattice: Lattice, compat: np.float32) -> None:
    n_pixels = len(lattice.vertex)
    values = np.zeros((1, lattice.chains.shape[1], LANES), np.float32)
    block = np.ones((LANES, _BLOCK), np.float32)
    for first in range(0, n_pixels, _BLOCK):
        _splat(lattice, first, min(first + _BLOCK, n_pixels), block, values)
    _blur(lattice.chains, values)
    for first in range(0, n_pixels, _BLOCK):
        last = min(first + _BLOCK, n_pixels)
        block[:] = 0
        _slice(lattice, first, last, values, block)
        for p in range(first, last):
            factor = np.sqrt(compat / block[0, p - first])
            for r in range(len(lattice.scale) + 1):
                lattice.weight[p, r] *= factor


@njit(cache=True, nogil=True)
def _splat(lattice: Lattice, first: int, last: int, pixels: Floats, values: Floats) -> None:
    """Add (channels, pixels first…last − 1) to the values (groups, V, `LANES`) of their vertices."""
    vertex, weight = lattice.vertex[first:last], lattice.weight[first:last]
    for g in range(len(values)):
        group = values[g]
        source = pixels[g * LANES : (g + 1) * LANES]
        for p in range(len(vertex)):
            x0, x1, x2, x3 = source[0, p], source[1, p], source[2, p], source[3, p]
            for r in range(len(lattice.scale) + 1):
                v = vertex[p, r]
                w = weight[p, r]
                group[v, 0] += w * x0
                group[v, 1] += w * x1
                group[v, 2] += w * x2
                group[v, 3] += w * x3


@njit(cache=True, nogil=True)
def _slice(lattice: Lattice, first: int, last: int, values: Floats, pixels: Floats) -> None:
    """Add to (channels, pixels first…last − 1) what their vertices hold; the transpose of `_splat`."""
    vertex, weight = lattice.vertex[first:last], lattice.weight[first:last]
    lanes = np.empty(LANES, np.float32)
    for g in range(len(values)):
        group = values[g]
        target = pixels[g * LANES : (g + 1) * LANES]
        for p in range(len(vertex)):
            x0 = x1 = x2 = x3 = np.float32(0)
            for r in range(len(lattice.scale) + 1):
                v = vertex[p, r]
                w = weight[p, r]
                x0 += w * group[v, 0]
                x1 += w * group[v, 1]
                x2 += w * group[v, 2]
                x3 += w * group[v, 3]
            # LLVM finds vectors from stores that are neighbours in memory
            lanes[0], lanes[1], lanes[2], lanes[3] = x0, x1, x2, x3
            for c in range(LANES):
                target[c, p] += lanes[c]


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
