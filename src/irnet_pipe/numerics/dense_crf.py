"""Fully connected CRF over the pixels of a photo (Krähenbühl & Koltun 2011).

Two Gaussian edge kernels, one of position alone and one of position and colour, are filtered on permutohedral
lattices that depend on the photo alone: all label maps of a photo share them. Kernels are normalised
symmetrically (D^-½ K D^-½), labels are compatible by Potts' model, and mean field gives the marginals.
"""

import math

import numpy as np
import torch

from irnet_pipe.numerics.mean_field import LANES, Signs, label_odds, mean_field, most_probable, normalise
from irnet_pipe.numerics.pages import zero_pages
from irnet_pipe.numerics.permutohedral import Floats, build_lattice


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
        self._shape = tuple(image.shape[:2])
        photo = image.numpy()
        gaussian = build_lattice(photo[..., :0], sxy=gaussian_sxy)
        self._gaussian = normalise(gaussian, gaussian_compat)
        bilateral = build_lattice(photo, sxy=bilateral_sxy, srgb=bilateral_srgb)
        self._bilateral = normalise(bilateral, bilateral_compat)

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
        maps = labels.reshape(-1, math.prod(self._shape)).numpy()
        refined = zero_pages(maps.shape, np.int64, sparse=True)
        at_a_time = max(1, LANES // (n_labels - 1))  # as many as are filtered together
        for first in range(0, len(maps), at_a_time):
            some = slice(first, first + at_a_time)
            odds = label_odds(maps[some], n_labels)
            most_probable(self._refine(odds, lead, n_labels - 1, iterations), refined[some])
        return torch.from_numpy(refined).reshape(labels.shape)

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
        odds = (unary[:1] - unary[1:]).float().reshape(len(unary) - 1, -1)
        score = torch.from_numpy(self._refine(odds.contiguous().numpy(), 1, len(odds), iterations))
        return torch.cat([torch.zeros_like(score[:1]), score]).softmax(dim=0).reshape(unary.shape)

    def _refine(self, unary: Floats | Signs, lead: float, n_others: int, iterations: int) -> Floats:
        return mean_field(unary, lead, n_others, self._gaussian, self._bilateral, iterations)
