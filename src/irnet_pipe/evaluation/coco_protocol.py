"""Average precision and recall by COCO's protocol: what pycocotools gives for `segm`, figure by figure.

Detections of an image and class are taken by score, ties in the order of the file, 100 at most, and matched with the
free instance of highest IoU. Crowds and instances outside of an area range are ignored, and so are the detections
that match them. Precision is read at 101 recalls.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from irnet_pipe.evaluation.mask_set import BoolArray, FloatArray, IntArray, MaskSet
from irnet_pipe.numerics.matching import FALSE, IGNORED, TRUE, match_detections

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Smallest and largest area in pixels; both bounds belong to the range."""
MAX_DETECTIONS = (1, 10, 100)
"""Detections of one image and class that recall is given for; the last bounds those that are matched."""


@dataclass(frozen=True)
class CocoScores:
    """Result of a `CocoEvaluator`. Values are nan for classes without instance in the area range.

    Attributes:
        ap: (areas, thresholds, classes), in [0, 1], with 100 detections.
        ap_worst: (thresholds, classes), all areas: the least over all orders of detections of equal score.
        ap_best: (thresholds, classes): the greatest.
        recall: (areas, max_detections, thresholds, classes), largest recall.
        n_truth: (areas, classes) instances that are not ignored.
    """

    ap: FloatArray
    ap_worst: FloatArray
    ap_best: FloatArray
    recall: FloatArray
    n_truth: IntArray


@dataclass(frozen=True)
class Matches:
    """Matches of one image at IoU .5 over all areas.

    Attributes:
        detection: (d,) the detections, as indices into those of the image, by score.
        outcome: (d,) FALSE, TRUE or IGNORED.
        taken: (g,) bool, whether an instance was found.
    """

    detection: IntArray
    outcome: npt.NDArray[np.uint8]
    taken: BoolArray


@dataclass(frozen=True)
class _Facts:
    """Of some detections: class, score, rank within image and class, outcome (d, areas, thresholds)."""

    class_id: npt.NDArray[np.int32]
    score: FloatArray
    rank: npt.NDArray[np.uint8]
    outcome: npt.NDArray[np.uint8]


class CocoEvaluator:
    """Takes one image at a time and keeps what became of its detections, never a mask.

    Args:
        n_classes: class ids run from 0 to n_classes − 1.
    """

    def __init__(self, n_classes: int) -> None:
        self._n_classes = n_classes
        self._facts: list[_Facts] = []
        self._n_truth = np.zeros((len(AREA_RANGES), n_classes), dtype=np.int64)

    def add(self, found: MaskSet, truth: MaskSet, *, iou: FloatArray) -> Matches:
        """Take one image.

        Args:
            found: detections.
            truth: instances, crowds included.
            iou: (d, g) of `overlaps`.
        """
        detection, rank = _by_score(found)
        class_id = found.class_id[detection]
        ignored = truth.crowd | _outside(truth.area)
        outcome, taken = match_detections(
            iou[detection],
            class_id[:, None] == truth.class_id[None, :],
            thresholds=THRESHOLDS,
            ignored=ignored,
            crowd=truth.crowd,
        )
        outside = _outside(found.area[detection]).T[:, :, None]
        outcome[(outcome == FALSE) & outside] = IGNORED
        self._facts.append(_Facts(class_id.astype(np.int32), found.score[detection], rank, outcome))
        for area, left_out in enumerate(ignored):
            np.add.at(self._n_truth[area], truth.class_id[~left_out], 1)
        return Matches(detection, outcome[:, 0, 0], taken[0, 0])

    def result(self) -> CocoScores:
        """Scores of all that was added so far."""
        areas, thresholds, classes = len(AREA_RANGES), len(THRESHOLDS), self._n_classes
        scores = CocoScores(
            ap=np.full((areas, thresholds, classes), np.nan),
            ap_worst=np.full((thresholds, classes), np.nan),
            ap_best=np.full((thresholds, classes), np.nan),
            recall=np.full((areas, len(MAX_DETECTIONS), thresholds, classes), np.nan),
            n_truth=self._n_truth,
        )
        for class_id, facts in self._by_class():
            for area in np.flatnonzero(self._n_truth[:, class_id]):
                _score_class(scores, facts, class_id=class_id, area=int(area))
        return scores

    def scored_outcomes(self) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
        """Score and outcome at IoU .5 over all areas of all detections, each (d,), in the order of the images."""
        facts = self._joined()
        return facts.score, facts.outcome[:, 0, 0]

    def _by_class(self) -> Iterator[tuple[int, _Facts]]:
        """Of each class, its detections by score, ties in the order of images and files."""
        facts = self._joined()
        order = np.lexsort((-facts.score, facts.class_id))
        first = np.searchsorted(facts.class_id[order], np.arange(self._n_classes + 1))
        for class_id in range(self._n_classes):
            chosen = order[first[class_id] : first[class_id + 1]]
            yield (
                class_id,
                _Facts(
                    facts.class_id[chosen], facts.score[chosen], facts.rank[chosen], facts.outcome[chosen]
                ),
            )

    def _joined(self) -> _Facts:
        if len(self._facts) != 1:
            empty = _Facts(
                np.zeros(0, np.int32),
                np.zeros(0),
                np.zeros(0, np.uint8),
                np.zeros((0, len(AREA_RANGES), len(THRESHOLDS)), np.uint8),
            )
            parts = [empty, *self._facts]
            self._facts = [
                _Facts(
                    np.concatenate([part.class_id for part in parts]),
                    np.concatenate([part.score for part in parts]),
                    np.concatenate([part.rank for part in parts]),
                    np.concatenate([part.outcome for part in parts]),
                )
            ]
        return self._facts[0]


def _by_score(found: MaskSet) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """Detections by score, of each class no more than are matched, and their ranks within the class from 0."""
    order = np.argsort(-found.score, kind="stable")
    class_id = found.class_id[order]
    by_class = np.argsort(class_id, kind="stable")
    first = np.searchsorted(class_id[by_class], class_id[by_class])
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_class] = np.arange(len(order)) - first
    kept = rank < MAX_DETECTIONS[-1]
    return order[kept], rank[kept].astype(np.uint8)


def _outside(area: FloatArray) -> BoolArray:
    """(areas, m) whether an area lies outside of each range."""
    bounds = np.array(list(AREA_RANGES.values()))
    return np.asarray((area < bounds[:, :1]) | (area > bounds[:, 1:]))


def _score_class(scores: CocoScores, facts: _Facts, *, class_id: int, area: int) -> None:
    """Fill in the scores of a class, whose detections come by score, in an area range that has instances."""
    n_truth = int(scores.n_truth[area, class_id])
    for m, limit in enumerate(MAX_DETECTIONS):
        found = (facts.outcome[:, area] == TRUE) & (facts.rank < limit)[:, None]
        scores.recall[area, m, :, class_id] = found.sum(axis=0) / n_truth
    for t in range(len(THRESHOLDS)):
        counted = facts.outcome[:, area, t] != IGNORED
        hit = facts.outcome[counted, area, t] == TRUE
        scores.ap[area, t, class_id] = _average_precision(hit, n_truth)
        if area == 0:
            false_first, true_first = _extreme_orders(facts.score[counted], hit)
            scores.ap_worst[t, class_id] = _average_precision(false_first, n_truth)
            scores.ap_best[t, class_id] = _average_precision(true_first, n_truth)


def _average_precision(hit: BoolArray, n_truth: int) -> float:
    """Mean of the interpolated precision at 101 recalls.

    Args:
        hit: (d,) whether each detection is true, by score, without those that are ignored.
        n_truth: instances, 1 or more.
    """
    hits = np.cumsum(hit)
    # The division and its tiny summand are those of pycocotools: a recall may equal one of the 101 to the last bit.
    recall, precision = hits / n_truth, hits / (np.arange(1, len(hit) + 1) + np.spacing(1))
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, RECALLS, side="left")].mean())


def _extreme_orders(score: FloatArray, hit: BoolArray) -> tuple[BoolArray, BoolArray]:
    """`hit` with all false detections before, and behind, the true ones of equal score."""
    first = np.flatnonzero(np.diff(score, prepend=np.nan) != 0)
    true = np.add.reduceat(hit, first, dtype=np.int64) if len(first) else first
    false = np.diff(first, append=len(score)) - true
    false_first = np.repeat(np.tile([False, True], len(first)), np.stack([false, true], axis=1).ravel())
    true_first = np.repeat(np.tile([True, False], len(first)), np.stack([true, false], axis=1).ravel())
    return false_first, true_first
