"""Detections matched with ground truth by COCO's protocol (pycocotools, COCOeval.evaluateImg)."""

import numpy as np
from numba import njit

FALSE, TRUE, IGNORED = 0, 1, 2
"""What becomes of a detection."""


def match_detections(
    iou: np.ndarray,
    comparable: np.ndarray,
    *,
    thresholds: np.ndarray,
    ignored: np.ndarray,
    crowd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of one image greedily: each takes the free instance of highest IoU.

    An instance that is ignored is taken only where no other reaches the threshold. Of equal IoUs the last instance
    counts. A crowd takes any number of detections.

    Args:
        iou: (d, g) float64; the detections come in descending order of their scores.
        comparable: (d, g) bool, whether both are of one class.
        thresholds: (t,) IoU thresholds; an IoU equal to one reaches it.
        ignored: (a, g) bool, the instances that each area range leaves out.
        crowd: (g,) bool.

    Returns:
        outcome (d, a, t) uint8, FALSE, TRUE, or IGNORED (matched with an ignored instance), and taken (a, t, g)
        bool.
    """
    n_detections, n_truth = iou.shape
    outcome = np.zeros((n_detections, len(ignored), len(thresholds)), np.uint8)
    taken = np.zeros((len(ignored), len(thresholds), n_truth), np.bool_)
    _match(iou, comparable, np.minimum(thresholds, 1 - 1e-10), ignored, crowd, outcome, taken)
    return outcome, taken


@njit(cache=True, nogil=True)
def _match(
    iou: np.ndarray,
    comparable: np.ndarray,
    thresholds: np.ndarray,
    ignored: np.ndarray,
    crowd: np.ndarray,
    outcome: np.ndarray,
    taken: np.ndarray,
) -> None:
    for a in range(outcome.shape[1]):
        for t in range(outcome.shape[2]):
            for d in range(outcome.shape[0]):
                best = -1
                for second_choice in (False, True):
                    highest = thresholds[t]
                    for g in range(iou.shape[1]):
                        if ignored[a, g] != second_choice or not comparable[d, g]:
                            continue
                        if taken[a, t, g] and not crowd[g]:
                            continue
                        if iou[d, g] >= highest:
                            highest, best = iou[d, g], g
                    if best >= 0:
                        outcome[d, a, t] = 2 if second_choice else 1
                        taken[a, t, best] = True
                        break
