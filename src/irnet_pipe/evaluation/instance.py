"""Average precision of instance masks by the PASCAL VOC protocol (Everingham et al. 2010, sec. 4.2).

Detections of all images are sorted by score, ties in the order of the images and of the detections in them.
Each is matched with the ground-truth instance of its class and image of highest IoU; it is a true positive if
that IoU reaches the threshold and no detection before it took that instance. Void pixels count as background.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from irnet_pipe.evaluation.mask_set import BoolArray, FloatArray, IntArray, MaskSet, make_mask_set, overlaps
from irnet_pipe.numerics.run_lengths import encode_rle

IOU_THRESHOLDS = (0.25, 0.5, 0.7, 0.75)


class Instances(TypedDict):
    """Ground truth of one image, tensors or arrays: masks (m, H, W) bool, class_id (m,)."""

    masks: Any
    class_id: Any


class Detections(Instances):
    """Predictions of one image: as `Instances`, and score (m,)."""

    score: Any


@dataclass(frozen=True)
class AveragePrecision:
    """Result of an `InstanceEvaluator`.

    Attributes:
        thresholds: IoU thresholds.
        ap: (thresholds, classes), in [0, 1], nan for classes absent from the ground truth.
        n_truth: (classes,) ground-truth instances.
        n_detections: (classes,) detections.
    """

    thresholds: tuple[float, ...]
    ap: FloatArray
    n_truth: IntArray
    n_detections: IntArray

    @property
    def mean(self) -> FloatArray:
        """(thresholds,) mean over the classes present in the ground truth, nan if there is none."""
        present = self.n_truth > 0
        if not present.any():
            return np.full(len(self.thresholds), np.nan)
        return np.asarray(self.ap[:, present].mean(axis=1))


@dataclass
class _ClassFacts:
    """Of one class, for each detection in the order they came: score, best IoU and the instance of it."""

    score: array[float] = field(default_factory=lambda: array("d"))
    iou: array[float] = field(default_factory=lambda: array("d"))
    instance: array[int] = field(default_factory=lambda: array("q"))
    n_truth: int = 0


class InstanceEvaluator:
    """Takes one image at a time and keeps three numbers a detection, never a mask.

    Args:
        n_classes: classes without background; class ids run from 0 to n_classes − 1.
        thresholds: IoU thresholds, all of them scored in one pass.
    """

    def __init__(self, n_classes: int, *, thresholds: Sequence[float] = IOU_THRESHOLDS) -> None:
        self.thresholds = tuple(thresholds)
        self._facts = [_ClassFacts() for _ in range(n_classes)]

    def add(self, detections: Detections, truth: Instances) -> None:
        """Take one image.

        Raises:
            ValueError: lengths or sizes of masks that differ, or a class id out of range.
        """
        found, true = (self._mask_set(**side) for side in (detections, truth))
        if len(found.runs) and len(true.runs) and found.size != true.size:
            raise ValueError(f"masks of {found.size} pixels are compared with masks of {true.size}")
        self.add_overlaps(overlaps(found, true), found=found, truth=true)

    def add_overlaps(self, iou: FloatArray, *, found: MaskSet, truth: MaskSet) -> None:
        """Take one image of which the overlaps are known.

        Args:
            iou: (d, g) of each detection with each instance.
            found: d detections.
            truth: g instances, no crowds among them.
        """
        for c in np.union1d(found.class_id, truth.class_id):
            mine, theirs = found.class_id == c, truth.class_id == c
            self._match(self._facts[c], iou[np.ix_(mine, theirs)], found.score[mine])

    def result(self) -> AveragePrecision:
        """Average precision of all that was added so far."""
        return AveragePrecision(
            thresholds=self.thresholds,
            ap=np.array([[_average_precision(facts, t) for facts in self._facts] for t in self.thresholds]),
            n_truth=np.array([facts.n_truth for facts in self._facts]),
            n_detections=np.array([len(facts.score) for facts in self._facts]),
        )

    def tie_range(self) -> tuple[FloatArray, FloatArray]:
        """Least and greatest average precision over all orders of detections of equal score.

        Returns:
            two arrays (thresholds, classes), nan for classes absent from the ground truth.
        """
        ranges = np.array([[_tie_range(facts, t) for facts in self._facts] for t in self.thresholds])
        worst, best = ranges.reshape(len(self.thresholds), -1, 2).transpose(2, 0, 1)
        return worst, best

    def _mask_set(self, masks: Any, class_id: Any, score: Any = None) -> MaskSet:
        masks, class_id = np.asarray(masks).astype(bool, copy=False), np.asarray(class_id, dtype=np.int64)
        if len(masks) != len(class_id):
            raise ValueError(f"{len(masks)} masks, but {len(class_id)} class ids")
        if score is not None and np.shape(score) != class_id.shape:
            raise ValueError(f"scores have shape {np.shape(score)}, class ids {class_id.shape}")
        outside = class_id[(class_id < 0) | (class_id >= len(self._facts))]
        if outside.size:
            raise ValueError(f"class id {outside[0]} is outside of 0…{len(self._facts) - 1}")
        return make_mask_set(
            [encode_rle(mask) for mask in masks], class_id, size=masks.shape[1:], score=score
        )

    @staticmethod
    def _match(facts: _ClassFacts, iou: FloatArray, score: FloatArray) -> None:
        n_detections, n_truth = iou.shape
        facts.score.extend(score)
        if n_truth:
            facts.iou.extend(iou.max(axis=1))
            facts.instance.extend(facts.n_truth + iou.argmax(axis=1))
        else:
            facts.iou.extend([-1.0] * n_detections)
            facts.instance.extend([-1] * n_detections)
        facts.n_truth += n_truth


def voc_ap(
    predictions: Sequence[Detections], ground_truth: Sequence[Instances], *, iou: float
) -> npt.NDArray[np.float64]:
    """Average precision per class at one IoU threshold.

    Args:
        predictions: one dict an image: masks (m, H, W) bool, class_id (m,), score (m,).
        ground_truth: one dict an image, in the same order: masks (m, H, W) bool, class_id (m,).
        iou: threshold in (0, 1]; an IoU equal to it counts.

    Returns:
        (classes,) float64, nan for classes absent from the ground truth; classes: 1 + the largest class id.

    Raises:
        ValueError: lists of different length, or masks of different size.
    """
    seen = [np.asarray(image["class_id"]) for image in (*predictions, *ground_truth)]
    n_classes = 1 + max((int(ids.max()) for ids in seen if ids.size), default=-1)
    evaluator = InstanceEvaluator(n_classes, thresholds=(iou,))
    for detections, truth in zip(predictions, ground_truth, strict=True):
        evaluator.add(detections, truth)
    ap: npt.NDArray[np.float64] = evaluator.result().ap[0]
    return ap


def _average_precision(facts: _ClassFacts, threshold: float) -> float:
    """Area under the interpolated precision-recall curve of one class (VOC 2010 and later: all points)."""
    if not facts.n_truth:
        return float("nan")
    order = np.argsort(-np.array(facts.score), kind="stable")
    _, true_positive = _true_positives(facts, order, threshold=threshold)
    return _area(true_positive, facts.n_truth)


def _true_positives(
    facts: _ClassFacts, order: npt.NDArray[np.intp], *, threshold: float
) -> tuple[IntArray, BoolArray]:
    """In an order of the detections: the instance that each one reaches (−1: none), and which are its first."""
    instance = np.where(np.array(facts.iou) >= threshold, np.array(facts.instance, dtype=np.int64), -1)[order]
    hits = np.flatnonzero(instance >= 0)
    _, first = np.unique(instance[hits], return_index=True)
    true_positive = np.zeros(len(order), dtype=bool)
    true_positive[hits[first]] = True
    return instance, true_positive


def _area(true_positive: BoolArray, n_truth: int) -> float:
    precision = np.cumsum(true_positive) / np.arange(1, len(true_positive) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows by 1/n_truth at each true positive and nowhere else.
    return float(envelope[true_positive].sum() / n_truth)


def _tie_range(facts: _ClassFacts, threshold: float) -> tuple[float, float]:
    """Least and greatest `_average_precision` over the orders of equals.

    How many of a group of equals are true does not hang on their order: one for each instance that is reached first in
    this group. In the worst order come those first that are false in any order, then instance by instance its one true
    positive and the duplicates that can only follow it, the instance of most duplicates first.
    """
    if not facts.n_truth:
        return float("nan"), float("nan")
    score = np.array(facts.score)
    order = np.argsort(-score, kind="stable")
    group = np.cumsum(np.diff(score[order], prepend=np.inf) != 0)
    instance, true_positive = _true_positives(facts, order, threshold=threshold)
    reached_in = np.full(facts.n_truth + 1, -1)  # the last cell is that of no instance
    reached_in[instance[true_positive]] = group[true_positive]
    claims = (instance >= 0) & (reached_in[instance] == group)
    rivals = np.bincount(instance[claims], minlength=facts.n_truth + 1)[instance] * claims
    worst = np.lexsort((~true_positive, instance * claims, -rivals, claims, group))
    best = np.lexsort((~true_positive, group))
    return _area(true_positive[worst], facts.n_truth), _area(true_positive[best], facts.n_truth)
