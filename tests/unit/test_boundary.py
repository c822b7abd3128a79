"""Boundary F against plain loops and by hand."""

import numpy as np
import pytest
from naive_scores import naive_boundary_f

from irnet_pipe.evaluation.boundary import TOLERANCE, BoundaryEvaluator

LEFT = np.array([[1, 1, 0, 0, 0, 0]] * 4, dtype=np.uint8)


def score(prediction, truth, n_classes=3):
    evaluator = BoundaryEvaluator(n_classes, void=255)
    evaluator.add(prediction, truth)
    return evaluator.result()


@pytest.mark.parametrize(("moved", "expected"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_tolerance_is_one_pixel_in_small_images(moved, expected):
    shifted = np.zeros_like(LEFT)
    shifted[:, : 2 + moved] = 1
    np.testing.assert_array_equal(score(shifted, LEFT), [expected, expected, np.nan])


def test_f_is_the_harmonic_mean():
    truth = np.zeros((4, 6), np.uint8)
    truth[:, 0] = 1
    prediction = truth.copy()
    prediction[:, 4] = 1
    # Of the predicted boundary of 1 four of eight pixels are right, of the true one all.
    assert score(prediction, truth)[1] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_labels_of_one_side_alone_score_nothing():
    np.testing.assert_array_equal(score(LEFT, np.zeros_like(LEFT)), [0, 0, np.nan])


def test_an_image_of_one_label_has_no_boundary():
    assert np.isnan(score(np.ones_like(LEFT), np.ones_like(LEFT))).all()


def test_what_lies_in_void_does_not_count():
    truth = LEFT.copy()
    truth[:, 2:4] = 255
    prediction = np.zeros_like(LEFT)
    prediction[:, :3] = 1
    np.testing.assert_array_equal(score(prediction, truth), [1, 1, np.nan])


def test_predicted_void_has_no_boundary_of_its_own():
    truth = np.zeros((4, 9), np.uint8)
    truth[:, 4:] = 1
    prediction = truth.copy()
    prediction[:, 8] = 255
    assert score(prediction, truth)[1] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_agrees_with_plain_loops():
    rng = np.random.default_rng(0)
    evaluator, predictions, truths = BoundaryEvaluator(4, void=255), [], []
    for shape in [(5, 7), (4, 4), (6, 180)]:
        truth = np.repeat(rng.choice([0, 1, 2, 255], size=(shape[0], -(-shape[1] // 3))), 3, axis=1)[
            :, : shape[1]
        ]
        prediction = np.where(rng.random(shape) < 0.3, rng.choice([0, 1, 2, 255], size=shape), truth)
        predictions.append(prediction)
        truths.append(truth)
        evaluator.add(prediction, truth)
    expected = [naive_boundary_f(predictions, truths, label=label, share=TOLERANCE) for label in range(4)]
    np.testing.assert_allclose(evaluator.result(), expected)
    assert 0 < min(expected[:3]) < max(expected[:3]) < 1
