import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_scores import naive_ap

from irnet_pipe.evaluation.instance import InstanceEvaluator, voc_ap

ROWS = np.arange(4)[:, None].repeat(4, axis=1)
COLUMNS = ROWS.T
LEFT, RIGHT = COLUMNS < 2, COLUMNS >= 2
TOP_LEFT = LEFT & (ROWS < 2)
NOTHING = np.zeros((0, 4, 4), dtype=bool)


def predicted(*found):
    """Each found is (mask, class_id, score)."""
    masks = np.array([mask for mask, _, _ in found], dtype=bool).reshape(-1, 4, 4)
    return {
        "masks": masks,
        "class_id": np.array([c for _, c, _ in found], dtype=int),
        "score": [s for *_, s in found],
    }


def true(*instances):
    masks = np.array([mask for mask, _ in instances], dtype=bool).reshape(-1, 4, 4)
    return {"masks": masks, "class_id": np.array([c for _, c in instances], dtype=int)}


def test_perfect_detections_score_one():
    ap = voc_ap([predicted((LEFT, 0, 0.9), (RIGHT, 0, 0.8))], [true((LEFT, 0), (RIGHT, 0))], iou=0.5)
    assert ap.tolist() == [1.0]
    assert ap.dtype == np.float64


def test_second_detection_of_an_instance_is_false():
    # Sorted: hit, duplicate, hit → precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    found = predicted((LEFT, 0, 0.9), (LEFT, 0, 0.8), (RIGHT, 0, 0.7))
    assert voc_ap([found], [true((LEFT, 0), (RIGHT, 0))], iou=0.5).item() == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_duplicate_does_not_fall_back_to_another_instance():
    nearly_left = LEFT | (COLUMNS == 2)  # IoU 2/3 with LEFT, 1/5 with RIGHT
    found = predicted((LEFT, 0, 0.9), (nearly_left, 0, 0.8))
    assert voc_ap([found], [true((LEFT, 0), (RIGHT, 0))], iou=0.2).item() == pytest.approx(0.5)


def test_iou_equal_to_the_threshold_counts():
    found, truth = [predicted((TOP_LEFT, 0, 0.5))], [true((LEFT, 0))]
    assert voc_ap(found, truth, iou=0.5).item() == 1.0
    assert voc_ap(found, truth, iou=0.51).item() == 0.0


def test_classes_absent_from_ground_truth_are_nan_and_missed_ones_zero():
    ap = voc_ap([predicted((LEFT, 2, 0.5))], [true((LEFT, 0))], iou=0.5)
    assert ap[0] == 0
    assert np.isnan(ap[1:]).all()


def test_no_images_and_images_without_anything():
    assert voc_ap([], [], iou=0.5).shape == (0,)
    assert voc_ap([predicted()], [true()], iou=0.5).shape == (0,)


def test_equal_scores_keep_the_order_of_images_and_detections():
    right_first = voc_ap(
        [predicted((LEFT, 0, 1.0)), predicted((RIGHT, 0, 1.0))], [true((LEFT, 0)), true()], iou=0.5
    )
    wrong_first = voc_ap(
        [predicted((RIGHT, 0, 1.0)), predicted((LEFT, 0, 1.0))], [true(), true((LEFT, 0))], iou=0.5
    )
    within = voc_ap([predicted((RIGHT, 0, 1.0), (LEFT, 0, 1.0))], [true((LEFT, 0))], iou=0.5)
    assert (right_first.item(), wrong_first.item(), within.item()) == (1.0, 0.5, 0.5)


def test_tensors_are_taken_as_arrays_are():
    found, truth = predicted((LEFT, 0, 0.9)), true((LEFT, 0))
    tensors = [{key: torch.as_tensor(value) for key, value in image.items()} for image in (found, truth)]
    assert voc_ap([tensors[0]], [tensors[1]], iou=0.5).item() == 1.0


def test_evaluator_scores_all_thresholds_and_counts():
    evaluator = InstanceEvaluator(3, thresholds=(0.25, 0.5, 0.75))
    evaluator.add(predicted((TOP_LEFT, 0, 0.9), (LEFT, 2, 0.1)), true((LEFT, 0), (RIGHT, 1)))
    result = evaluator.result()
    np.testing.assert_array_equal(result.ap, [[1, 0, np.nan], [1, 0, np.nan], [0, 0, np.nan]])
    np.testing.assert_array_equal(result.mean, [0.5, 0.5, 0])
    assert (result.n_truth.tolist(), result.n_detections.tolist()) == ([1, 1, 0], [1, 0, 1])


def test_evaluator_without_ground_truth_has_no_mean():
    assert np.isnan(InstanceEvaluator(2).result().mean).all()


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        (predicted((LEFT, 3, 0.5)), true(), r"class id 3 is outside of 0…2"),
        (predicted((LEFT, -1, 0.5)), true(), r"class id -1 is outside"),
        (predicted((LEFT, 0, 0.5)) | {"score": [0.1, 0.2]}, true(), r"scores have shape \(2,\)"),
        (predicted((LEFT, 0, 0.5)) | {"masks": NOTHING}, true(), r"0 masks, but 1 class ids"),
        (
            predicted((LEFT, 0, 0.5)),
            {"masks": np.ones((1, 4, 5), bool), "class_id": [0]},
            r"\(4, 4\).*\(4, 5\)",
        ),
    ],
)
def test_evaluator_refuses(found, truth, message):
    with pytest.raises(ValueError, match=message):
        InstanceEvaluator(3).add(found, truth)


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        voc_ap([predicted(), predicted()], [true()], iou=0.5)


@given(seed=st.integers(0, 2**32 - 1), iou=st.sampled_from([0.1, 0.25, 0.5, 0.75]))
@settings(deadline=None, max_examples=60)
def test_agrees_with_plain_loops(seed, iou):
    rng = np.random.default_rng(seed)
    predictions, ground_truth = [], []
    for _ in range(rng.integers(1, 5)):
        truth = [(rng.random((4, 4)) < 0.5, rng.integers(3)) for _ in range(rng.integers(0, 4))]
        # Detections are noisy copies of the truth, with many equal scores.
        found = [(mask ^ (rng.random((4, 4)) < 0.15), c, rng.integers(4) / 4) for mask, c in truth * 2]
        found += [(rng.random((4, 4)) < 0.3, rng.integers(3), 0.5)]
        predictions.append(predicted(*found))
        ground_truth.append(true(*truth))
    ap = voc_ap(predictions, ground_truth, iou=iou)
    expected = [naive_ap(predictions, ground_truth, class_id=c, iou=iou) for c in range(len(ap))]
    np.testing.assert_allclose(ap, expected, rtol=1e-6)


def all_orders(image_scores):
    """Orders of the detections of an image that keep the scores descending."""
    for order in itertools.permutations(range(len(image_scores))):
        if all(image_scores[a] >= image_scores[b] for a, b in itertools.pairwise(order)):
            yield list(order)


@pytest.mark.parametrize("seed", range(40))
def test_tie_range_holds_all_orders_of_equals(seed):
    rng = np.random.default_rng(seed)
    truth = [(rng.random((4, 4)) < 0.4, 0) for _ in range(3)]
    score = rng.integers(0, 2, size=6) / 2
    found = [(truth[rng.integers(3)][0] ^ (rng.random((4, 4)) < 0.1), 0, s) for s in score]
    values = []
    for order in all_orders(score):
        evaluator = InstanceEvaluator(1, thresholds=(0.5,))
        evaluator.add(predicted(*[found[i] for i in order]), true(*truth))
        values.append(evaluator.result().ap.item())
    assert [bound.item() for bound in evaluator.tie_range()] == pytest.approx([min(values), max(values)])


def test_tie_range_goes_over_images():
    evaluator = InstanceEvaluator(2, thresholds=(0.5, 0.9))
    evaluator.add(predicted((RIGHT, 0, 1.0)), true())
    evaluator.add(predicted((LEFT, 0, 1.0)), true((LEFT, 0)))
    worst, best = evaluator.tie_range()
    np.testing.assert_array_equal(worst, [[0.5, np.nan], [0.5, np.nan]])
    np.testing.assert_array_equal(best, [[1, np.nan], [1, np.nan]])


def test_duplicates_never_come_before_what_they_repeat():
    evaluator = InstanceEvaluator(1, thresholds=(0.5,))
    evaluator.add(predicted((LEFT, 0, 1.0), (LEFT, 0, 1.0)), true((LEFT, 0)))
    assert [bound.item() for bound in evaluator.tie_range()] == [1, 1]
