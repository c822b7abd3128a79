"""Whether scores mean what they say: the share of true detections by score."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from irnet_pipe.evaluation.mask_set import FloatArray
from irnet_pipe.numerics.matching import IGNORED, TRUE

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Detections of a range of scores.

    Attributes:
        low: least score.
        high: greatest score; it belongs to the next bin, unless this is the last.
        detections: how many.
        mean_score: nan without detections.
        share_true: share of those that are true at IoU .5; nan without detections.
    """

    low: float
    high: float
    detections: int
    mean_score: float
    share_true: float


def reliability_curve(score: FloatArray, outcome: npt.NDArray[np.uint8]) -> list[ReliabilityBin]:
    """Ten bins of equal width between 0 and 1, or between the extreme scores where some lie beyond.

    Args:
        score: (d,).
        outcome: (d,) FALSE, TRUE or IGNORED (numerics/matching.py); ignored ones are left out.
    """
    counted = outcome != IGNORED
    score, true = score[counted], outcome[counted] == TRUE
    low, high = min(0.0, score.min(initial=0.0)), max(1.0, score.max(initial=1.0))
    borders = np.linspace(low, high, BINS + 1)
    number = np.clip(np.searchsorted(borders, score, side="right") - 1, 0, BINS - 1)
    count = np.bincount(number, minlength=BINS)
    total, hits = (np.bincount(number, weights=values, minlength=BINS) for values in (score, true))
    with np.errstate(invalid="ignore"):
        means, shares = total / count, hits / count
    return [
        ReliabilityBin(
            float(borders[i]), float(borders[i + 1]), int(count[i]), float(means[i]), float(shares[i])
        )
        for i in range(BINS)
    ]
