"""Why detections are false and instances are missed: the kinds of TIDE (Bolya et al., ECCV 2020, sec. 2.2).

Detections are matched by COCO's protocol at IoU .5; IoUs under .1 are background.
"""

import numpy as np

from irnet_pipe.evaluation.coco_protocol import Matches
from irnet_pipe.evaluation.mask_set import BoolArray, FloatArray, IntArray, MaskSet
from irnet_pipe.numerics.matching import FALSE

KINDS = {
    "location": "IoU of .1 to .5 with an instance of the class",
    "class": "IoU of .5 or more with an instance of another class",
    "duplicate": "IoU of .5 or more with an instance of the class that was found already",
    "background": "IoU of .1 or less with every instance",
    "both": "all else: class and location are wrong",
    "missed": "an instance that neither a detection nor one of the errors of location and class covers",
}
"""Kind → definition. A false detection is of the first kind that holds for it, in this order."""

FOREGROUND, BACKGROUND = 0.5, 0.1


class ErrorCounter:
    """Takes one image at a time.

    Args:
        n_classes: class ids run from 0 to n_classes − 1.

    Attributes:
        counts: (kinds, classes) int64, in the order of KINDS; by the class of the detection, or of the instance missed.
    """

    def __init__(self, n_classes: int) -> None:
        self.counts = np.zeros((len(KINDS), n_classes), dtype=np.int64)

    def add(self, found: MaskSet, truth: MaskSet, *, iou: FloatArray, matches: Matches) -> None:
        """Take one image.

        Args:
            found: detections.
            truth: instances; crowds take no part.
            iou: (d, g) of `overlaps`.
            matches: of `CocoEvaluator.add`.
        """
        false = matches.detection[matches.outcome == FALSE]
        instances = ~truth.crowd
        class_id, true_class_id = found.class_id[false], truth.class_id[instances]
        taken = matches.taken[instances]
        kind, covered = _classify(iou[np.ix_(false, instances)], class_id[:, None] == true_class_id[None, :])
        names = list(KINDS)
        np.add.at(self.counts, (kind, class_id), 1)
        np.add.at(self.counts[names.index("missed")], true_class_id[~taken & ~covered], 1)


def _classify(iou: FloatArray, same_class: BoolArray) -> tuple[IntArray, BoolArray]:
    """Kind of each false detection, (d,) indices into KINDS, and whether one of them covers an instance, (g,)."""
    names = list(KINDS)
    covered = np.zeros(iou.shape[1], dtype=bool)
    if not iou.shape[1]:
        return np.full(len(iou), names.index("background")), covered
    within, across = iou * same_class, iou * ~same_class
    nearest, nearest_other = within.argmax(axis=1), across.argmax(axis=1)
    nearest_iou = within.max(axis=1)
    holds = {
        "location": (nearest_iou >= BACKGROUND) & (nearest_iou <= FOREGROUND),
        "class": across.max(axis=1) >= FOREGROUND,
        "duplicate": nearest_iou >= FOREGROUND,  # were it free, it would have been matched
        "background": iou.max(axis=1) <= BACKGROUND,
    }
    kind = np.select(list(holds.values()), [names.index(name) for name in holds], default=names.index("both"))
    covered[nearest[kind == names.index("location")]] = True
    covered[nearest_other[kind == names.index("class")]] = True
    return kind, covered
