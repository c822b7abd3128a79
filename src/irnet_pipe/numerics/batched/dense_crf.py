"""Fully connected CRFs over the pixels of several photos at once; see `numerics.dense_crf`."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from irnet_pipe.numerics.batched.permutohedral import Lattice, build_lattice


class DenseCRF:
    """The CRFs of several photos, a lattice for each kernel; built once, they serve any number of label maps.

    On the device of the photos. In its memory a pixel takes 150 bytes, and a vertex of the lattice in position and
    colour 50, of which photos have up to 2 a pixel; while it is built a pixel takes some 400 more. Inference takes
    some 24 bytes a pixel and 12 a vertex for each channel: most labels of a photo, less one, times most maps.

    Args:
        photos: (H, W, 3) uint8 each, of any sizes; at least one.
        gaussian_sxy: standard deviation of the position kernel, in pixels.
        gaussian_compat: its weight, at least 0.
        bilateral_sxy: standard deviation of the position-and-colour kernel, in pixels.
        bilateral_srgb: the same in colour, in levels of 0…255.
        bilateral_compat: its weight, at least 0.

    Raises:
        ValueError: no photo, a negative weight, or a photo too large for a standard deviation this small.
    """

    def __init__(
        self,
        photos: Sequence[torch.Tensor],
        *,
        gaussian_sxy: float = 3,
        gaussian_compat: float = 3,
        bilateral_sxy: float = 50,
        bilateral_srgb: float = 5,
        bilateral_compat: float = 10,
    ) -> None:
        if not photos:
            raise ValueError("a CRF needs at least one photo")
        if min(gaussian_compat, bilateral_compat) < 0:
            raise ValueError(f"compat {gaussian_compat} and {bilateral_compat} must be at least 0")
        self._device = photos[0].device
        self._areas = [photo.shape[0] * photo.shape[1] for photo in photos]
        gaussian = build_lattice([photo[..., :0] for photo in photos], sxy=gaussian_sxy)
        bilateral = build_lattice(photos, sxy=bilateral_sxy, srgb=bilateral_srgb)
        self._kernels = _normalise(gaussian, gaussian_compat), _normalise(bilateral, bilateral_compat)

    @torch.no_grad()
    def infer(
        self,
        labels: Sequence[torch.Tensor],
        *,
        n_labels: Sequence[int],
        gt_prob: float = 0.7,
        iterations: int = 10,
    ) -> list[torch.Tensor]:
        """Refine label maps, each pixel's label being right with probability `gt_prob`.

        Args:
            labels: of each photo (H, W), or (maps, H, W) to refine several maps; integers 0…n_labels−1.
            n_labels: of each photo, the number of labels; with one there is nothing to infer.
            gt_prob: probability of the given label, above 0 and below 1; the others share the rest.
            iterations: mean-field steps.

        Returns:
            The most probable labels of each photo, of the shape of its `labels`, int64. All but one in 10,000 are
            those of `numerics.dense_crf.DenseCRF`.

        Raises:
            ValueError: a label outside of 0…n_labels−1, or not as many of both as there are photos.
        """
        self._check_count(labels, n_labels)
        _check_range(labels, n_labels)
        odds = [
            self._odds(maps.reshape(-1, area), n, gt_prob)
            for maps, n, area in zip(labels, n_labels, self._areas, strict=True)
        ]
        score = torch.split(self._mean_field(odds, iterations), self._areas)
        # of equals the first
        best = [pad(part[:, : len(own)], (1, 0)).argmax(2).T for part, own in zip(score, odds, strict=True)]
        return [one.reshape(maps.shape) for one, maps in zip(best, labels, strict=True)]

    @torch.no_grad()
    def infer_unary(self, unary: Sequence[torch.Tensor], *, iterations: int = 10) -> list[torch.Tensor]:
        """Label probabilities after mean field.

        Args:
            unary: of each photo (n, H, W) float32, minus the log of each label's probability, up to a constant per
                pixel.
            iterations: mean-field steps.

        Returns:
            (n, H, W) float32 of each photo, summing to 1 at each pixel.

        Raises:
            ValueError: not as many unaries as there are photos.
        """
        self._check_count(unary)
        flat = [one.to(self._device).flatten(1) for one in unary]
        odds = [(one[:1] - one[1:]).float()[None] for one in flat]
        score = torch.split(self._mean_field(odds, iterations), self._areas)
        chances = [
            pad(part[:, 0, : len(one) - 1], (1, 0)).softmax(1).T
            for part, one in zip(score, unary, strict=True)
        ]
        return [part.reshape(one.shape) for part, one in zip(chances, unary, strict=True)]

    def _check_count(self, *given: Sequence[object]) -> None:
        for each in given:
            if len(each) != len(self._areas):
                raise ValueError(f"{len(each)} given for {len(self._areas)} photos")

    def _odds(self, maps: torch.Tensor, n_labels: int, gt_prob: float) -> torch.Tensor:
        """(maps, N) labels → (maps, n − 1, N) float32 log odds of labels 1…n − 1 against label 0."""
        maps = maps.to(self._device)[:, None]
        if n_labels == 1:
            return maps[:, :0].float()
        lead = math.log(gt_prob) - math.log((1 - gt_prob) / (n_labels - 1))
        others = torch.arange(1, n_labels, device=self._device)[:, None]
        return lead * ((maps == others).float() - (maps == 0).float())

    def _mean_field(self, odds: Sequence[torch.Tensor], iterations: int) -> torch.Tensor:
        """Log odds of labels against label 0 after mean field, Potts' model.

        As in `numerics.mean_field`, Q_l − Q_0 are filtered, one channel less than Q_l.

        Args:
            odds: (maps, n − 1, pixels) float32 of each photo, the log odds before.
            iterations: number of steps.

        Returns:
            (N, most maps, most n − 1) float32, the log odds after; −inf for labels that a photo has not.
        """
        n_maps, n_others = (max(1, *(one.shape[axis] for one in odds)) for axis in (0, 1))
        unary = torch.zeros(sum(self._areas), n_maps, n_others, device=self._device)
        for part, own in zip(torch.split(unary, self._areas), odds, strict=True):
            part[..., own.shape[1] :] = -torch.inf  # labels of other photos: probability 0
            part[:, : len(own), : own.shape[1]] = own.permute(2, 0, 1)
        score = unary.clone()
        for _ in range(iterations):
            difference = _softmax_difference(score).flatten(1)
            score.copy_(unary)
            for kernel in self._kernels:
                kernel.add_filtered(difference, score.view(difference.shape))
        return score


def _normalise(lattice: Lattice, compat: float) -> Lattice:
    """The edge kernel √compat · D^-½ · K · D^-½ · √compat of a lattice K, its weight `compat` at least 0."""
    ones = torch.ones_like(lattice.weight[0])[:, None]
    total = lattice.add_filtered(ones, torch.zeros_like(ones))[:, 0]
    return lattice.scaled((compat / total).sqrt())


def _softmax_difference(score: torch.Tensor) -> torch.Tensor:
    """From log odds (…, n − 1) of labels against label 0 to Q_l − Q_0."""
    chance = pad(score, (1, 0)).softmax(-1)
    return chance[..., 1:] - chance[..., :1]


def _check_range(labels: Sequence[torch.Tensor], n_labels: Sequence[int]) -> None:
    """Refuse labels outside of 0…n_labels−1; the host waits for the device once."""
    ranges = torch.stack([torch.stack(maps.aminmax()).long() for maps in labels]).tolist()
    for number, ((least, most), n) in enumerate(zip(ranges, n_labels, strict=True)):
        if least < 0 or most >= n:
            raise ValueError(f"photo {number}: labels {least}…{most} must lie in 0…{n - 1}")
