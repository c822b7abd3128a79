"""How much of the colours of a photo its labels explain: the criterion of Otsu (1979), in three channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMOOTHING = 1.5
"""Standard deviation of the Gaussian over the photo, pixels: noise and fine texture are no objects."""


def explained_variance(labels: NDArray[np.integer], photo: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Share of the variance of colour that lies between the labels rather than within them.

    Args:
        labels: (T, H, W), T label maps of the photo, each from 0 on.
        photo: (H, W, 3) uint8.

    Returns:
        (T,) float64 in 0…1; 0 for a map of one label, and for a photo of one colour.
    """
    channels = np.moveaxis(photo, 2, 0).astype(np.float64)
    colours = np.stack([ndimage.gaussian_filter(channel, SMOOTHING).ravel() for channel in channels])
    colours -= colours.mean(axis=1, keepdims=True)
    total = np.square(colours).sum()
    if total < 1e-6 * colours.size:  # one colour, up to rounding
        return np.zeros(len(labels))
    return np.asarray([_between(label.ravel(), colours) / total for label in labels])


def _between(label: NDArray[np.integer], colours: NDArray[np.float64]) -> float:
    """Sum of squares of the labels' mean colours, each as often as it has pixels; colours (3, N) have mean 0."""
    pixels = np.maximum(np.bincount(label), 1)
    return sum(float((np.bincount(label, weights=channel) ** 2 / pixels).sum()) for channel in colours)
