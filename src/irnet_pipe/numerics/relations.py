"""Confident pixels of a photo, mined from its class activation maps (Ahn et al. 2019, sec. 4.1)."""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from irnet_pipe.numerics.dense_crf import DenseCRF

NEUTRAL = 255
"""Label of pixels that take part in no pair."""

MAX_CLASSES = NEUTRAL - 1
"""Most classes that a label map of one photo can hold."""


def confident_labels(
    image: torch.Tensor,
    cam: torch.Tensor,
    *,
    fg_threshold: float = 0.30,
    bg_threshold: float = 0.05,
    gt_prob: float = 0.7,
    iterations: int = 10,
    gaussian_sxy: float = 3,
    gaussian_compat: float = 3,
    bilateral_sxy: float = 50,
    bilateral_srgb: float = 5,
    bilateral_compat: float = 10,
) -> torch.Tensor:
    """Label the pixels whose class, or whose being background, is sure; leave the others neutral.

    The class activation maps are cut at two thresholds and each label map is refined by the CRF: what stays
    foreground with the high one is sure, and so is what is background with both.

    Args:
        image: (H, W, 3) uint8.
        cam: (k, H, W) float32, the class activation maps of the photo's own classes, in 0…1; k may be 0.
        fg_threshold: background score that sure foreground exceeds.
        bg_threshold: background score that sure background lies under, at most `fg_threshold`.
        gt_prob: see `DenseCRF.infer`.
        iterations: see `DenseCRF.infer`.
        gaussian_sxy: see `DenseCRF`.
        gaussian_compat: see `DenseCRF`.
        bilateral_sxy: see `DenseCRF`.
        bilateral_srgb: see `DenseCRF`.
        bilateral_compat: see `DenseCRF`.

    Returns:
        (H, W) uint8: 0 background, 1…k the classes in the order of `cam`, 255 neutral.

    Raises:
        ValueError: more than 254 classes.
    """
    foreground, background = refined_labels(
        image,
        cam,
        (fg_threshold, bg_threshold),
        gt_prob=gt_prob,
        iterations=iterations,
        gaussian_sxy=gaussian_sxy,
        gaussian_compat=gaussian_compat,
        bilateral_sxy=bilateral_sxy,
        bilateral_srgb=bilateral_srgb,
        bilateral_compat=bilateral_compat,
    )
    label = torch.where((foreground == 0) & (background != 0), NEUTRAL, foreground)
    return label.to(torch.uint8)


def refined_labels(
    image: torch.Tensor,
    cam: torch.Tensor,
    thresholds: Sequence[float],
    *,
    gt_prob: float,
    iterations: int,
    **kernels: float,
) -> torch.Tensor:
    """Label maps of a photo, cut from its class activation maps at each threshold and refined by the CRF.

    Args:
        image: (H, W, 3) uint8.
        cam: (k, H, W) float32 in 0…1; k may be 0.
        thresholds: scores of the background, T of them.
        gt_prob: see `DenseCRF.infer`.
        iterations: see `DenseCRF.infer`.
        kernels: see `DenseCRF`.

    Returns:
        (T, H, W) int64: 0 background, 1…k the classes in the order of `cam`.

    Raises:
        ValueError: more than 254 classes.
    """
    n_classes = len(cam)
    if n_classes > MAX_CLASSES:
        raise ValueError(f"{n_classes} classes in one photo, at most {MAX_CLASSES}")
    if n_classes == 0:
        return torch.zeros((len(thresholds), *image.shape[:2]), dtype=torch.int64)
    # arg-max over [threshold, cam]; of equal scores the first counts
    score, index = cam.max(dim=0)
    cut = torch.where(score > torch.tensor(thresholds)[:, None, None], index + 1, 0)
    return DenseCRF(image, **kernels).infer(
        cut, n_labels=n_classes + 1, gt_prob=gt_prob, iterations=iterations
    )


def downsample_labels(label: torch.Tensor) -> torch.Tensor:
    """Nearest label at a quarter of the size, as PIL places it: pixel 4i + 2, neutral if off the photo.

    Args:
        label: (H, W) uint8.

    Returns:
        (h, w) uint8, h = (H − 1)//4 + 1 and w alike.
    """
    height, width = label.shape
    return pad(label, (0, -width % 4, 0, -height % 4), value=NEUTRAL)[2::4, 2::4]
