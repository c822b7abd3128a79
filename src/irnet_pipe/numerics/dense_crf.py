"""Fully connected CRF over the pixels of a photo (Krähenbühl & Koltun 2011).

Mean field with two Gaussian edge kernels, one of position alone and one of position and colour, both filtered on
permutohedral lattices that depend on the photo alone: all label maps of a photo share them. Kernels are
normalised symmetrically (D^-½ K D^-½) and labels are compatible by Potts' model.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from numba import njit

from irnet_pipe.numerics.permutohedral import LANES, Floats, Ids, Lattice, blur, build_lattice

_BLOCK = 256  # pixels whose scores stay in the first-level cache between slice, softmax and splat


class DenseCRF:
    """The CRF of one photo; its lattices are built once and serve any number of label maps.

    Probabilities are exact up to float32, and follow the lattice approximation of the two kernels.

    Args:
        image: (H, W, 3) uint8.
        gaussian_sxy: standard deviation of the position kernel, in pixels.
        gaussian_compat: its weight, at least 0.
        bilateral_sxy: standard deviation of the position-and-colour kernel, in pixels.
        bilateral_srgb: the same in colour, in levels of 0…255.
        bilateral_compat: its weight, at least 0.

    Raises:
        ValueError: a negative weight, or a photo too large for a standard deviation this small.
    """

    def __init__(
        self,
        image: torch.Tensor,
        *,
        gaussian_sxy: float = 3,
        gaussian_compat: float = 3,
        bilateral_sxy: float = 50,
        bilateral_srgb: float = 5,
        bilateral_compat: float = 10,
    ) -> None:
        height, width = image.shape[:2]
        row, column = np.divmod(np.arange(height * width), width)
        position = np.stack([column, row], axis=1).astype(np.float32)
        colour = image.reshape(-1, 3).numpy().astype(np.float32)
        bilateral = np.hstack([position / np.float32(bilateral_sxy), colour / np.float32(bilateral_srgb)])
        self._shape = (height, width)
        self._gaussian = _weighted(build_lattice(position / np.float32(gaussian_sxy)), gaussian_compat)
        self._bilateral = _weighted(build_lattice(bilateral), bilateral_compat)

    def infer(
        self, labels: torch.Tensor, *, n_labels: int, gt_prob: float = 0.7, iterations: int = 10
    ) -> torch.Tensor:
        """Refine label maps, each pixel's label being right with probability `gt_prob`.

        Args:
            labels: (H, W), or (maps, H, W) to refine several maps of the photo in one pass; integers
                0…n_labels−1.
            n_labels: number of labels; with one there is nothing to infer.
            gt_prob: probability of the given label, above 0 and below 1; the others share the rest.
            iterations: mean-field steps.

        Returns:
            The most probable labels, of the shape of `labels`, int64.

        Raises:
            ValueError: a label outside of 0…n_labels−1.
        """
        if labels.min() < 0 or labels.max() >= n_labels:
            raise ValueError(f"labels {labels.min()}…{labels.max()} must lie in 0…{n_labels - 1}")
        if n_labels == 1:
            return torch.zeros_like(labels, dtype=torch.int64)
        lead = math.log(gt_prob) - math.log((1 - gt_prob) / (n_labels - 1))
        maps = labels.reshape(-1, 1, math.prod(self._shape))
        others = torch.arange(1, n_labels)[:, None]
        score = lead * ((maps == others).float() - (maps == 0).float())
        best, index = self._refine(score, iterations).max(dim=1)
        return torch.where(best > 0, index + 1, 0).reshape(labels.shape)

    def infer_unary(self, unary: torch.Tensor, *, iterations: int = 10) -> torch.Tensor:
        """Label probabilities after mean field.

        Args:
            unary: (n, H, W) float32, minus the log of each label's own probability, up to a constant per pixel.
            iterations: mean-field steps.

        Returns:
            (n, H, W) float32, summing to 1 at each pixel.
        """
        if len(unary) == 1:
            return torch.ones_like(unary)
        score = self._refine((unary[:1] - unary[1:]).reshape(1, len(unary) - 1, -1), iterations)[0]
        return torch.cat([torch.zeros_like(score[:1]), score]).softmax(dim=0).reshape(unary.shape)

    def _refine(self, score: torch.Tensor, iterations: int) -> torch.Tensor:
        """(maps, n − 1, pixels) log odds of each label against label 0, before → after mean field."""
        maps, n_others, n_pixels = score.shape
        unary = np.ascontiguousarray(score.reshape(-1, n_pixels).numpy(), dtype=np.float32)
        refined = _mean_field(unary, n_others, self._gaussian, self._bilateral, iterations)
        return torch.from_numpy(refined).reshape(maps, n_others, n_pixels)


def _weighted(lattice: Lattice, compat: float) -> Lattice:
    """The lattice with √compat · D^-½ in its weights, so that splat, blur, slice is the whole edge term."""
    if compat < 0:
        raise ValueError(f"compat {compat} must be at least 0")
    n_points = len(lattice.vertex)
    values = np.zeros((1, lattice.n_vertices, LANES), np.float32)
    degree = np.zeros((LANES, n_points), np.float32)
    _splat(lattice, 0, n_points, np.ones_like(degree), values)
    blur(lattice.chains, values)
    _slice(lattice, 0, n_points, values, degree)
    factor = np.sqrt(np.float32(compat) / degree[0])
    return lattice._replace(weight=lattice.weight * factor[:, None])


@njit(cache=True, nogil=True)
def _splat(lattice, first, last, pixels, values):  # type: ignore[no-untyped-def]
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
def _slice(lattice, first, last, values, pixels):  # type: ignore[no-untyped-def]
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
def _exp(x):  # type: ignore[no-untyped-def]
    """e^x for x ≤ 0, to 5e-6; below −80 that of −80. Unlike the library's, it runs in vector registers."""
    binary = (x if x > np.float32(-80) else np.float32(-80)) * np.float32(1.4426950408889634)
    # adding and taking off 1.5·2^23 rounds to an integer (only without fastmath)
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
def _softmax_difference(score, n_others):  # type: ignore[no-untyped-def]
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


@njit(cache=True, nogil=True)
def _mean_field(unary, n_others, gaussian, bilateral, iterations):  # type: ignore[no-untyped-def]
    """Log odds against label 0 after mean field (Krähenbühl & Koltun 2011, algorithm 1).

    Potentials count up to a constant per pixel, so that Q_l − Q_0 are filtered, one channel less than Q_l.
    """
    n_channels, n_pixels = unary.shape
    n_groups = (n_channels + LANES - 1) // LANES
    score = np.zeros((n_groups * LANES, _BLOCK), np.float32)
    refined = np.empty_like(unary)
    near = np.zeros((n_groups, gaussian.chains.shape[1], LANES), np.float32)
    alike = np.zeros((n_groups, bilateral.chains.shape[1], LANES), np.float32)
    next_near, next_alike = np.empty_like(near), np.empty_like(alike)
    for step in range(iterations + 1):
        next_near[:] = 0
        next_alike[:] = 0
        for first in range(0, n_pixels, _BLOCK):
            last = min(first + _BLOCK, n_pixels)
            score[:n_channels, : last - first] = unary[:, first:last]
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
            blur(gaussian.chains, near)
            blur(bilateral.chains, alike)
    return refined
