"""Background score and confident labels of AffinityNet (Ahn and Kwak 2018, sec. 3.1 and 3.3)."""

import torch
from torch.nn import functional

from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.relations import NEUTRAL
from irnet_pipe.numerics.strides import AFFINITYNET_STRIDE

LEAST = 1e-5
"""Probability that the CRF takes for 0; and what the scores of a pixel outside of the photo stay under."""


def join_background(cam: torch.Tensor, *, alpha: float) -> torch.Tensor:
    """Put the background score (1 − max CAM)^alpha before the class activation maps.

    Args:
        cam: (k, H, W) float32 in 0…1, k at least 1.
        alpha: the larger, the less background.

    Returns:
        (1 + k, H, W) float32.
    """
    return torch.cat([(1 - cam.amax(0, keepdim=True)) ** alpha, cam])


def pool_scores(score: torch.Tensor) -> torch.Tensor:
    """Mean (c, h, w) of each block of 8×8 of (c, H, W) scores, which are 0 beyond the photo; h = ⌈H/8⌉, w = ⌈W/8⌉."""
    height, width = score.shape[-2:]
    stride = AFFINITYNET_STRIDE
    return functional.avg_pool2d(functional.pad(score, (0, -width % stride, 0, -height % stride)), stride)


def refined_scores(
    image: torch.Tensor,
    cam: torch.Tensor,
    *,
    alpha_low: float = 4,
    alpha_high: float = 32,
    iterations: int = 10,
    gaussian_sxy: float = 3,
    gaussian_compat: float = 3,
    bilateral_sxy: float = 80,
    bilateral_srgb: float = 13,
    bilateral_compat: float = 10,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of background and classes after the CRF, with much and with little background to start from.

    Args:
        image: (H, W, 3) uint8.
        cam: (k, H, W) float32 in 0…1, k at least 1.
        alpha_low: exponent of the background score that gives much background.
        alpha_high: exponent that gives little.
        iterations: see `DenseCRF.infer_unary`.
        gaussian_sxy: see `DenseCRF`.
        gaussian_compat: see `DenseCRF`.
        bilateral_sxy: see `DenseCRF`.
        bilateral_srgb: see `DenseCRF`.
        bilateral_compat: see `DenseCRF`.

    Returns:
        (1 + k, H, W) float32 for alpha_low and for alpha_high, background first.
    """
    crf = DenseCRF(
        image,
        gaussian_sxy=gaussian_sxy,
        gaussian_compat=gaussian_compat,
        bilateral_sxy=bilateral_sxy,
        bilateral_srgb=bilateral_srgb,
        bilateral_compat=bilateral_compat,
    )
    scores = (join_background(cam, alpha=alpha) for alpha in (alpha_low, alpha_high))
    low, high = (crf.infer_unary(-score.clamp(LEAST, 1).log(), iterations=iterations) for score in scores)
    return low, high


def labels_of_scores(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Label the blocks whose class, or whose being background, is sure; leave the others neutral.

    What is a class although there was much background is sure, and so is what is background although there was
    little; where both hold, the latter counts, as in the reference.

    Args:
        low: (1 + k, H, W) float32 as `refined_scores` returns them; 0 beyond the photo.
        high: likewise.

    Returns:
        (⌈H/8⌉, ⌈W/8⌉) uint8: 0 background, 1…k the classes in the order of the maps, 255 neutral.
    """
    low, high = pool_scores(low), pool_scores(high)
    label = low.argmax(0)
    label[label == 0] = NEUTRAL
    label[high.argmax(0) == 0] = 0
    label[torch.maximum(low.amax(0), high.amax(0)) < LEAST] = NEUTRAL
    return label.to(torch.uint8)
