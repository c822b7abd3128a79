"""Boundary F of label maps (the BF score of Csurka et al., BMVC 2013).

Of each label in an image: precision is the share of predicted boundary pixels that have a true one within the
tolerance, recall the reverse, F their harmonic mean; of a label with a boundary in one of the two alone F is 0. A
label's figure is the mean over the images in which it has a boundary. Pixels that are void in the ground truth belong
to no label in either map.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

TOLERANCE = 0.0075
"""Euclidean distance that counts as the same place, as a share of the image's diagonal; at least one pixel."""

LabelArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


class BoundaryEvaluator:
    """Takes one image at a time.

    Args:
        n_classes: labels, background included.
        void: label of the ground truth whose pixels are left out.
    """

    def __init__(self, n_classes: int, *, void: int) -> None:
        self._void = void
        self._sum = np.zeros(n_classes)
        self._images = np.zeros(n_classes, dtype=np.int64)

    def add(self, prediction: LabelArray, truth: LabelArray) -> None:
        """Take the label maps of one image, each (H, W); predicted labels that are no class have no boundary."""
        tolerance = max(1.0, TOLERANCE * float(np.hypot(*truth.shape)))
        void = truth == self._void
        found, found_label = self._boundaries(prediction, void)
        true, true_label = self._boundaries(truth, void)
        for label in np.union1d(found_label, true_label):
            f_score = _f_score(found[found_label == label], true[true_label == label], tolerance=tolerance)
            self._sum[label] += f_score
            self._images[label] += 1

    def _boundaries(self, labels: LabelArray, void: BoolArray) -> tuple[npt.NDArray[np.intp], LabelArray]:
        """(n, 2) pixels that have one of their four neighbours outside of their label, and their labels (n,)."""
        labels = np.where(void | (labels >= len(self._sum)), -1, labels.astype(np.int32))
        border = np.zeros(labels.shape, dtype=bool)
        across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
        border[:, 1:] |= across
        border[:, :-1] |= across
        border[1:] |= down
        border[:-1] |= down
        border &= labels >= 0
        return np.argwhere(border), labels[border]

    def result(self) -> FloatArray:
        """(n_classes,) mean F of each label, nan for labels without any boundary."""
        score = np.full(len(self._sum), np.nan)
        seen = self._images > 0
        score[seen] = self._sum[seen] / self._images[seen]
        return score


def _f_score(found: npt.NDArray[np.intp], true: npt.NDArray[np.intp], *, tolerance: float) -> float:
    if not (len(found) and len(true)):
        return 0.0
    precision, recall = _share_near(found, true, tolerance), _share_near(true, found, tolerance)
    return 2 * precision * recall / (precision + recall) if precision else 0.0


def _share_near(points: npt.NDArray[np.intp], others: npt.NDArray[np.intp], tolerance: float) -> float:
    # The bound itself is excluded by the tree; distances of pixels are square roots of integers.
    distance, _ = cKDTree(others).query(points, distance_upper_bound=tolerance + 1e-6)
    return float(np.mean(distance <= tolerance + 1e-9))
