"""How well outlines of masks are supported by boundaries and by the photo, threshold by threshold.

With too low a score of the background masks leak beyond their objects, and with too high a one they shrink into them:
either way their outlines leave the ridges of IRNet's boundary map. These grow weaker towards the inside of objects
more slowly than towards the outside, so they alone choose too low; gradients of the photo, stronger within objects
than in most backgrounds, alone choose too high. So boundaries count more than gradients.
docs/thresholds.md tells how this was found, and how far it holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING = 1.5
"""Standard deviation of the Gaussian under the gradient, pixels."""

FloatArray = NDArray[np.float64]


class OutlineSupport:
    """Takes one image at a time, and pools outlines over all of them.

    Args:
        maps: label maps of each image, one a threshold, T of them.
        tolerance: pixels by which an outline may miss a boundary.
    """

    def __init__(self, maps: int, *, tolerance: int) -> None:
        self.tolerance = tolerance
        # length of the outlines, and over them the sums of boundary and gradient rank
        self._sums = np.zeros((maps, 3))

    def add(
        self, labels: NDArray[np.integer], *, boundary: NDArray[np.float32], rank: NDArray[np.float32]
    ) -> None:
        """Take an image.

        Args:
            labels: (T, H, W), its label maps.
            boundary: (H, W) float32 in 0…1.
            rank: (H, W) float32, as `gradient_rank` gives it.
        """
        near = ndimage.maximum_filter(boundary, 1 + 2 * self.tolerance)
        for row, label in zip(self._sums, labels, strict=True):
            outline = outlines(label)
            row += outline.sum(), near[outline].sum(dtype=np.float64), rank[outline].sum(dtype=np.float64)

    def result(self) -> FloatArray:
        """(T,) mean boundary times the root of the mean gradient rank on the outlines; 0 where there are none."""
        _, boundary, rank = self._sums.T / np.maximum(self._sums[:, 0], 1)
        return np.asarray(boundary * np.sqrt(rank))


def outlines(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(H, W) bool, pixels with a neighbour of another label, of four; the edge of the photo is no outline."""
    found = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        turned, differs = np.moveaxis(found, axis, 0), np.diff(labels, axis=axis) != 0
        differs = np.moveaxis(differs, axis, 0)
        turned[1:] |= differs
        turned[:-1] |= differs
    return found


def gradient_rank(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of the pixels of a photo (H, W, 3) whose gradient is weaker, (H, W) float32 in 0…1.

    The gradient is that of the channel in which it is largest. Ranks are comparable between photos, unlike gradients.
    """
    strength = np.zeros(photo.shape[:2], dtype=np.float32)
    for channel in np.moveaxis(photo, 2, 0):
        smooth = ndimage.gaussian_filter(channel.astype(np.float32), SMOOTHING)
        strength = np.maximum(
            strength, np.hypot(ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1))
        )
    rank = np.empty(strength.size, dtype=np.float32)
    # stable: equal bytes on every machine
    rank[np.argsort(strength, axis=None, kind="stable")] = np.arange(strength.size) / strength.size
    return rank.reshape(strength.shape)
