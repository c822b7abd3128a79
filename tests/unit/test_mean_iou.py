import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_scores import naive_iou

from irnet_pipe.evaluation.semantic import SemanticEvaluator, mean_iou

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 255, 255], [0, 0, 255, 255]])


def test_equal_maps_score_one():
    mean, iou = mean_iou([TRUTH], [TRUTH], n_classes=3)
    assert mean == 1
    assert iou[:2].tolist() == [1, 1]
    assert np.isnan(iou[2])


def test_expected_numbers():
    prediction = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [0, 2, 0, 1], [0, 0, 0, 1]])
    # Background: 6 of 9 pixels; class 1: 3 of 5; class 2: predicted once, never true. Void is left out.
    mean, iou = mean_iou([prediction], [TRUTH], n_classes=4)
    np.testing.assert_allclose(iou, [6 / 9, 3 / 5, 0, np.nan], rtol=1e-6)
    assert mean == pytest.approx((6 / 9 + 3 / 5) / 3)


def test_predicted_void_is_wrong():
    mean, iou = mean_iou([np.full((4, 4), 255)], [TRUTH], n_classes=2)
    assert (mean, iou.tolist()) == (0.0, [0.0, 0.0])


def test_predicted_void_takes_nothing_from_other_labels():
    prediction = TRUTH.copy()
    prediction[0, 0] = 255
    np.testing.assert_allclose(mean_iou([prediction], [TRUTH], n_classes=2)[1], [7 / 8, 1], rtol=1e-6)


def test_one_map_is_taken_as_a_list_of_one():
    prediction = np.where(TRUTH == 1, 0, TRUTH)
    for kind in (np.asarray, torch.as_tensor):
        mean, iou = mean_iou(kind(prediction), kind(TRUTH), n_classes=2)
        assert mean == mean_iou([prediction], [TRUTH], n_classes=2)[0]
        np.testing.assert_allclose(iou, [8 / 12, 0], rtol=1e-6)


def test_nothing_but_void_has_no_mean():
    evaluator = SemanticEvaluator(2)
    evaluator.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    result = evaluator.result()
    assert np.isnan(result.mean)
    assert np.isnan(result.pixel_accuracy)
    assert np.isnan(result.iou).all()


def test_pixel_accuracy_leaves_void_out():
    evaluator = SemanticEvaluator(2)
    evaluator.add(np.zeros((4, 4), np.uint8), TRUTH)
    assert evaluator.result().pixel_accuracy == 8 / 12


def test_other_void_label_makes_255_a_class():
    evaluator = SemanticEvaluator(301, void=65535)
    truth = np.array([[255, 300, 65535]], dtype=np.uint16)
    evaluator.add(np.array([[255, 0, 7]]), truth)
    assert (evaluator.result().iou[255], evaluator.result().iou[300]) == (1, 0)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\).*\(3, 2\)"),
        (np.zeros((1, 1), int), np.full((1, 1), 2), r"the label 2, allowed are 0…1 and 255"),
        (np.zeros((1, 1), int), np.full((1, 1), -1), r"the label -1"),
    ],
)
def test_refuses(prediction, truth, message):
    with pytest.raises(ValueError, match=message):
        SemanticEvaluator(2).add(prediction, truth)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_agrees_with_plain_loops(seed):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(1, 6, size=(3, 2))
    predictions = [rng.choice([0, 1, 2, 3, 255], size=shape) for shape in shapes]
    truths = [rng.choice([0, 1, 2, 255], size=shape) for shape in shapes]
    expected = [naive_iou(predictions, truths, label=label) for label in range(5)]
    mean, iou = mean_iou(predictions, truths, n_classes=5)
    np.testing.assert_allclose(iou, expected, rtol=1e-6)
    np.testing.assert_allclose(mean, np.mean([e for e in expected if e == e] or [np.nan]), rtol=1e-12)
