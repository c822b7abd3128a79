"""COCO's protocol against pycocotools, and its range over the orders of equals against all orders."""

import contextlib
import io
import itertools
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from random_coco import random_set

from irnet_pipe.evaluation.coco_protocol import CocoEvaluator, _average_precision, _extreme_orders
from irnet_pipe.evaluation.comparison import compare, open_sources
from irnet_pipe.evaluation.mask_set import make_mask_set, overlaps
from irnet_pipe.evaluation.score_sheet import score_sheet
from irnet_pipe.numerics.run_lengths import encode_rle

# pycocotools hands numpy an object whose __array__ knows no `copy`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
FIGURES = [
    *("AP50:95", "AP50", "AP75", "AP50:95 small", "AP50:95 medium", "AP50:95 large"),
    *("AR@1", "AR@10", "AR@100", "AR@100 small", "AR@100 medium", "AR@100 large"),
]
"""In the order of pycocotools' stats."""


def official(truth, results):
    """COCOeval after its run."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(str(results)), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def ours(truth, results):
    return compare(*open_sources(results, truth), semantic=False)


def deviation(truth, results) -> float:
    """Largest difference from pycocotools in any figure, of any class, threshold, area and number of detections."""
    expected, found = official(truth, results), ours(truth, results)
    scores = found.instances.coco
    precision = expected.eval["precision"][..., -1].mean(axis=1)  # thresholds, classes, areas
    recall = expected.eval["recall"]  # thresholds, classes, areas, detections
    known = [
        (np.where(precision < 0, np.nan, precision).transpose(2, 0, 1), scores.ap),
        (np.where(recall < 0, np.nan, recall).transpose(2, 3, 0, 1), scores.recall),
    ]
    sheet = score_sheet(found)["COCO"]
    means = [np.nan if sheet[name]["mean"] is None else sheet[name]["mean"] for name in FIGURES]
    known.append((np.where(expected.stats < 0, np.nan, expected.stats), np.array(means)))
    for a, b in known:
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    return max(float(np.nanmax(np.abs(a - b), initial=0.0)) for a, b in known)


@pytest.mark.parametrize("part", range(10))
def test_agrees_with_pycocotools_on_random_sets(part, tmp_path):
    worst = max(deviation(*random_set(seed, tmp_path)) for seed in range(20 * part, 20 * part + 20))
    assert worst < 1e-9


def test_random_sets_hold_what_evaluators_differ_in(tmp_path):
    seen = set()
    for seed in range(20):
        truth, results = (json.loads(path.read_text()) for path in random_set(seed, tmp_path))
        of_image = {image["id"]: [0, 0] for image in truth["images"]}
        for annotation in truth["annotations"]:
            of_image[annotation["image_id"]][0] += 1
            seen |= {"crowd"} if annotation["iscrowd"] else set()
        for result in results:
            of_image[result["image_id"]][1] += 1
        scores = [result["score"] for result in results]
        seen |= {"ties"} if len(set(scores)) < len(scores) else set()
        seen |= {"no instance"} if any(not n for n, _ in of_image.values()) else set()
        seen |= {"no detection"} if any(not n for _, n in of_image.values()) else set()
        seen |= {"many"} if any(n > 100 for _, n in of_image.values()) else set()
        classes = {result["category_id"] for result in results}
        seen |= {"no truth"} if classes - {a["category_id"] for a in truth["annotations"]} else set()
    assert seen == {"crowd", "ties", "no instance", "no detection", "many", "no truth"}


@pytest.mark.parametrize("seed", range(40))
def test_range_holds_all_orders_of_equals(seed):
    rng = np.random.default_rng(seed)
    score, hit, n_truth = np.sort(rng.integers(0, 3, size=6))[::-1].astype(float), rng.random(6) < 0.5, 5
    values = [
        _average_precision(hit[list(order)], n_truth)
        for order in itertools.permutations(range(6))
        if (np.diff(score[list(order)]) <= 0).all()
    ]
    found = [_average_precision(extreme, n_truth) for extreme in _extreme_orders(score, hit)]
    assert found == [min(values), max(values)]


def test_range_of_no_detection():
    assert [extreme.tolist() for extreme in _extreme_orders(np.zeros(0), np.zeros(0, bool))] == [[], []]


def square(row, column):
    mask = np.zeros((4, 4), dtype=bool)
    mask[row : row + 2, column : column + 2] = True
    return encode_rle(mask)


def test_four_by_four():
    # By score: a hit, a detection in the crowd, one of nothing, a hit.
    truth = make_mask_set(
        [square(0, 0), square(2, 2), square(0, 2)], [0, 0, 0], size=(4, 4), crowd=[False, False, True]
    )
    found = make_mask_set(
        [square(0, 0), square(0, 2), square(2, 0), square(2, 2)],
        [0] * 4,
        size=(4, 4),
        score=[0.9, 0.8, 0.7, 0.6],
    )
    evaluator = CocoEvaluator(1)
    matches = evaluator.add(found, truth, iou=overlaps(found, truth))
    assert matches.outcome.tolist() == [1, 2, 0, 1]
    assert matches.taken.tolist() == [True, True, True]
    # Precision 1 up to recall .5 (51 of 101 points), 2/3 behind.
    expected = (51 + 50 * 2 / 3) / 101
    np.testing.assert_allclose(evaluator.result().ap[:, :, 0], [[expected] * 10] * 2 + [[np.nan] * 10] * 2)


def test_overlaps_with_crowds_are_shares_of_the_detection():
    whole = encode_rle(np.ones((4, 4), dtype=bool))
    truth = make_mask_set([whole, whole], [0, 0], size=(4, 4), crowd=[False, True])
    found = make_mask_set([square(0, 0), encode_rle(np.zeros((4, 4), bool))], [0, 0], size=(4, 4))
    np.testing.assert_array_equal(overlaps(found, truth), [[0.25, 1], [0, 0]])
