"""pydensecrf2: the CRF library that the published implementation calls, once for each label map."""

from __future__ import annotations

import numpy as np


def refine_labels(image: np.ndarray, labels: np.ndarray, *, n_labels: int) -> np.ndarray:
    """Refine label maps (maps, H, W) of a photo (H, W, 3) uint8 in a pass each → labels (maps, H, W)."""
    return np.stack([_one_pass(image, one, n_labels) for one in labels])


def _one_pass(image: np.ndarray, labels: np.ndarray, n_labels: int) -> np.ndarray:
    from pydensecrf import densecrf
    from pydensecrf.utils import unary_from_labels

    height, width = labels.shape
    crf = densecrf.DenseCRF2D(width, height, n_labels)
    crf.setUnaryEnergy(unary_from_labels(labels, n_labels, gt_prob=0.7, zero_unsure=False))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=50, srgb=5, rgbim=np.ascontiguousarray(image), compat=10)
    return np.argmax(crf.inference(10), axis=0).reshape(height, width)
