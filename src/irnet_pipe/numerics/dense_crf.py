"""Fully connected CRF over the pixels of a photo (Krähenbühl & Koltun 2011).

Two Gaussian edge kernels, one of position alone and one of position and colour, are filtered on permutohedral
lattices that depend on the photo alone: all label maps of a photo share them. Kernels are normalised
symmetrically (D^-½ K D^-½), labels are compatible by Potts' model, and mean field gives the marginals.
"""

import math

import numpy as np
import torch

from irnet_pipe.numerics.mean_field import LANES, mean_field, normalise
from irnet_pipe.numerics.permutohedral import Floats, Lattice, build_lattice


class DenseCRF:
    """The CRF of one photo; its lattices are built once and serve any number of label maps.

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
        if min(gaussian_compat, bilateral_compat) < 0:
            raise ValueError(f"compat {gaussian_compat} and {bilateral_compat} must be at least 0")
        height, width = image.shape[:2]
        self._shape = (height, width)
        features = np.empty((height, width, 5), np.float32)
        _write_position(features, bilateral_sxy)
        np.divide(image.numpy(), np.float32(bilateral_srgb), out=features[..., 2:])
        # the larger one first: while a lattice is built it takes twice its memory
        self._bilateral = normalise(_lattice(features), bilateral_compat)
        features = np.empty((height, width, 2), np.float32)
        _write_position(features, gaussian_sxy)
        self._gaussian = normalise(_lattice(features), gaussian_compat)

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
        refined = []
        for some in torch.split(maps, max(1, LANES // (n_labels - 1))):  # as many as are filtered at a time
            sign = (some == others).to(torch.int8) - (some == 0).to(torch.int8)
            best, index = self._refine(sign, lead, iterations).max(dim=1)
            refined.append(index.add_(1).mul_(best > 0))
        return torch.cat(refined).reshape(labels.shape)

    def infer_unary(self, unary: torch.Tensor, *, iterations: int = 10) -> torch.Tensor:
        """Label probabilities after mean field.

        Args:
            unary: (n, H, W) float32, minus the log of each label's probability, up to a constant per pixel.
            iterations: mean-field steps.

        Returns:
            (n, H, W) float32, summing to 1 at each pixel.
        """
        if len(unary) == 1:
            return torch.ones_like(unary)
        odds = (unary[:1] - unary[1:]).float().reshape(1, len(unary) - 1, -1)
        score = self._refine(odds, 1, iterations)[0]
        return torch.cat([torch.zeros_like(score[:1]), score]).softmax(dim=0).reshape(unary.shape)

    def _refine(self, unary: torch.Tensor, lead: float, iterations: int) -> torch.Tensor:
        """(maps, n − 1, pixels) log odds of each label against label 0, before (by `lead`) → after mean field."""
        maps, n_others, n_pixels = unary.shape
        before = np.ascontiguousarray(unary.reshape(-1, n_pixels).numpy())
        after = mean_field(before, np.float32(lead), n_others, self._gaussian, self._bilateral, iterations)
        return torch.from_numpy(after).reshape(maps, n_others, n_pixels)


def _write_position(features: Floats, deviation: float) -> None:
    """Write x and y of each pixel, in standard deviations, into the first two of (H, W, d) features."""
    height, width = features.shape[:2]
    np.divide(np.arange(width, dtype=np.float32), np.float32(deviation), out=features[..., 0])
    np.divide(np.arange(height, dtype=np.float32)[:, None], np.float32(deviation), out=features[..., 1])


def _lattice(features: Floats) -> Lattice:
    """Lattice of the pixels of (H, W, d) features."""
    return build_lattice(features.reshape(-1, features.shape[-1]))
