"""Mean intersection over union of label maps (Everingham et al. 2010, sec. 4.3).

Label 0 is the background and takes part as a class. Pixels that the ground truth marks void are left out. A
predicted label that is no class (255, say) counts as wrong: missed by the true class, held against no other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from irnet_pipe.export.voc import VOID
from irnet_pipe.numerics.confusion import count_label_pairs


@dataclass(frozen=True)
class MeanIou:
    """Result of a `SemanticEvaluator`.

    Attributes:
        iou: (n_classes,) per label, nan for labels in neither prediction nor ground truth.
        mean: over the labels that are not nan; nan if all are.
        pixel_accuracy: share of right pixels among those that are not void; nan without any.
    """

    iou: npt.NDArray[np.float64]
    mean: float
    pixel_accuracy: float


class SemanticEvaluator:
    """Takes one image at a time and keeps the confusion matrix.

    Args:
        n_classes: labels, background included: 21 for VOC.
        void: label of the ground truth whose pixels are left out.
    """

    def __init__(self, n_classes: int, *, void: int = VOID) -> None:
        self.n_classes = n_classes
        self.void = void
        # Rows: ground truth; columns: prediction, the last one for what is no label.
        self.confusion = np.zeros((n_classes, n_classes + 1), dtype=np.int64)

    def add(self, prediction: Any, truth: Any) -> None:
        """Take one image.

        Args:
            prediction: label map, any shape, integers.
            truth: label map of the same shape.

        Raises:
            ValueError: shapes differ, or the truth holds a label that is neither below n_classes nor void.
        """
        predicted, true = np.asarray(prediction), np.asarray(truth)
        if predicted.shape != true.shape:
            raise ValueError(f"prediction has shape {predicted.shape}, ground truth {true.shape}")
        counts, stranger = count_label_pairs(true, predicted, n_labels=self.n_classes, void=self.void)
        if stranger is not None:
            raise ValueError(
                f"ground truth holds the label {stranger}, allowed are 0…{self.n_classes - 1} and {self.void} (void)"
            )
        self.confusion += counts

    def result(self) -> MeanIou:
        """Scores of all that was added so far."""
        right = self.confusion.diagonal()
        union = self.confusion.sum(axis=1) + self.confusion[:, :-1].sum(axis=0) - right
        present = union > 0
        iou = np.full(self.n_classes, np.nan)
        iou[present] = right[present] / union[present]
        n_pixels = self.confusion.sum()
        return MeanIou(
            iou=iou,
            mean=float(iou[present].mean()) if present.any() else float("nan"),
            pixel_accuracy=float(right.sum() / n_pixels) if n_pixels else float("nan"),
        )


def mean_iou(prediction: Any, ground_truth: Any, *, n_classes: int) -> tuple[float, npt.NDArray[np.float64]]:
    """Mean IoU and the IoU of each label, over all pixels of all images.

    Args:
        prediction: label maps: a sequence of (H, W) integer arrays or tensors, or one array.
        ground_truth: label maps of the same shapes, 255 left out.
        n_classes: labels, background included.

    Returns:
        mean over the labels in prediction or ground truth, and (n_classes,) float64, nan for absent ones.

    Raises:
        ValueError: shapes differ, or a label of the ground truth is out of range.
    """
    evaluator = SemanticEvaluator(n_classes)
    # Counts add up: one (H, W) array may as well be taken as H maps of (W,).
    for predicted, true in zip(prediction, ground_truth, strict=True):
        evaluator.add(predicted, true)
    scores = evaluator.result()
    return scores.mean, scores.iou
