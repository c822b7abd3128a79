"""pycocotools for instances, and a plain confusion matrix for label maps."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

RECALL_POINTS = 1000
"""Where precision is read off; so many that their mean is the area under the curve to 1e-3."""


def coco_ap(
    truth: Sequence[dict[str, Any]],
    detections: Sequence[dict[str, Any]],
    *,
    size: tuple[int, int],
    n_classes: int,
    thresholds: Sequence[float],
) -> np.ndarray:
    """Average precision (thresholds, classes) of annotations with run lengths, as pycocotools computes it."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        image_ids = sorted({annotation["image_id"] for annotation in truth})
        coco.dataset = {
            "images": [{"id": id_, "height": size[0], "width": size[1]} for id_ in image_ids],
            "categories": [{"id": class_id} for class_id in range(n_classes)],
            "annotations": list(truth),
            "info": {},
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(one) for one in detections]), "segm")
        evaluation.params.iouThrs = np.array(thresholds)
        evaluation.params.recThrs = (np.arange(RECALL_POINTS) + 0.5) / RECALL_POINTS
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0].mean(axis=1)


def confusion_miou(pairs: Iterable[tuple[np.ndarray, np.ndarray]], *, n_classes: int) -> np.ndarray:
    """IoU (n_classes,) of pairs (prediction, truth) of label maps, 255 left out; nan for absent classes."""
    confusion = np.zeros((n_classes, n_classes), np.int64)
    for prediction, truth in pairs:
        kept = truth != 255
        cells = np.bincount(
            n_classes * truth[kept].astype(np.int64) + prediction[kept], minlength=n_classes**2
        )
        confusion += cells.reshape(n_classes, n_classes)
    right = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - right
    return np.where(union > 0, right / np.maximum(union, 1), np.nan)
