"""Error kinds by hand-made cases, and the reliability curve."""

import numpy as np
import pytest

from irnet_pipe.evaluation.coco_protocol import CocoEvaluator
from irnet_pipe.evaluation.error_kinds import KINDS, ErrorCounter
from irnet_pipe.evaluation.mask_set import make_mask_set, overlaps
from irnet_pipe.evaluation.reliability import reliability_curve
from irnet_pipe.numerics.run_lengths import encode_rle


def line(first, last):
    """Pixels first … last of a row of 40."""
    mask = np.zeros((1, 40), dtype=bool)
    mask[0, first : last + 1] = True
    return encode_rle(mask)


OBJECT = (line(0, 9), 0)
RIGHT = (line(0, 9), 0)
SHIFTED = (line(7, 16), 0)  # IoU 3/17 with OBJECT


def errors(found, truth, crowd=None):
    """Counts of (kind, class), detections with descending scores."""
    found = make_mask_set(
        [runs for runs, _ in found],
        [c for _, c in found],
        size=(1, 40),
        score=np.linspace(1, 0.5, len(found)),
    )
    truth = make_mask_set([runs for runs, _ in truth], [c for _, c in truth], size=(1, 40), crowd=crowd)
    iou, counter = overlaps(found, truth), ErrorCounter(2)
    counter.add(found, truth, iou=iou, matches=CocoEvaluator(2).add(found, truth, iou=iou))
    names = list(KINDS)
    return {(names[k], int(c)): int(counter.counts[k, c]) for k, c in np.argwhere(counter.counts)}


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([RIGHT], [OBJECT], {}),
        ([], [OBJECT], {("missed", 0): 1}),
        ([SHIFTED], [OBJECT], {("location", 0): 1}),
        ([(line(0, 9), 1)], [OBJECT], {("class", 1): 1}),
        ([(line(7, 16), 1)], [OBJECT], {("both", 1): 1, ("missed", 0): 1}),
        ([RIGHT, RIGHT], [OBJECT], {("duplicate", 0): 1}),
        ([(line(30, 35), 0)], [OBJECT], {("background", 0): 1, ("missed", 0): 1}),
        ([(line(9, 18), 0)], [OBJECT], {("background", 0): 1, ("missed", 0): 1}),
        ([RIGHT], [], {("background", 0): 1}),
        # A detection that is of the wrong class for one instance, and badly located on another: location comes first.
        ([(line(0, 9), 1)], [OBJECT, (line(7, 16), 1)], {("location", 1): 1, ("missed", 0): 1}),
        # An instance that is found, and wrongly covered besides, is not missed.
        ([RIGHT, (line(0, 9), 1)], [OBJECT], {("class", 1): 1}),
    ],
)
def test_kinds(found, truth, expected):
    assert errors(found, truth) == expected


def test_crowds_take_no_part():
    assert errors([RIGHT], [OBJECT], crowd=[True]) == {}
    assert errors([(line(0, 9), 1)], [OBJECT], crowd=[True]) == {("background", 1): 1}
    assert errors([], [OBJECT], crowd=[True]) == {}


def test_reliability_curve():
    score = np.array([0.05, 0.1, 0.15, 0.15, 1.0, 0.95])
    curve = reliability_curve(score, np.array([0, 1, 0, 2, 1, 0], dtype=np.uint8))
    assert [one.detections for one in curve] == [1, 2, *[0] * 6, 0, 2]
    assert [curve[i].share_true for i in (0, 1, 9)] == [0, 0.5, 0.5]
    assert [curve[i].mean_score for i in (0, 1, 9)] == pytest.approx([0.05, 0.125, 0.975])
    assert np.isnan(curve[4].share_true)
    assert (curve[0].low, curve[-1].high) == (0, 1)


def test_reliability_of_scores_beyond_one():
    curve = reliability_curve(np.array([-1.0, 4.0]), np.array([0, 1], dtype=np.uint8))
    assert (curve[0].low, curve[-1].high) == (-1, 4)
    assert [one.detections for one in curve] == [1, *[0] * 8, 1]
    assert sum(one.detections for one in reliability_curve(np.zeros(0), np.zeros(0, dtype=np.uint8))) == 0
