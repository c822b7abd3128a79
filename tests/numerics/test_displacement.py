from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from irnet_pipe.numerics.displacement import refine_centroids

GOLDEN = Path(__file__).parents[1] / "golden"


def naive_centroids(displacement: np.ndarray, iterations: int) -> np.ndarray:
    _, height, width = displacement.shape
    centroids = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(iterations):
        (top, left), (bottom, right) = np.floor(centroids).astype(int), np.ceil(centroids).astype(int)
        v, u = centroids[0].astype(np.float64) - top, centroids[1].astype(np.float64) - left
        step = (
            displacement[:, bottom, right] * v * u
            + displacement[:, bottom, left] * v * (1 - u)
            + displacement[:, top, right] * (1 - v) * u
            + displacement[:, top, left] * (1 - v) * (1 - u)
        )
        centroids = (centroids + step).astype(np.float32)
        centroids[0] = centroids[0].clip(0, height - 1)
        centroids[1] = centroids[1].clip(0, width - 1)
    return np.round(centroids).astype(np.int64)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_centroids_equal_the_reference(case):
    golden = np.load(GOLDEN / f"displacement_{case}.npz", allow_pickle=False)
    iterations = int(golden["iterations"])
    centroids = refine_centroids(golden["displacement"], max_iterations=iterations)
    np.testing.assert_array_equal(centroids, golden["centroids"])


@pytest.mark.parametrize(("smoothness", "strength"), [(0, 3), (2, 6), (6, 20)])
@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 16),
    st.integers(1, 16),
    st.sampled_from([0, 1, 2, 7, 40, 41, 300]),
)
def test_centroids_equal_the_whole_field_stepped(smoothness, strength, seed, height, width, iterations):
    noise = np.random.default_rng(seed).standard_normal((2, height, width))
    field = (gaussian_filter(noise, (0, smoothness, smoothness)) * strength * (1 + smoothness)).astype(
        np.float32
    )
    centroids = refine_centroids(field, max_iterations=iterations)
    np.testing.assert_array_equal(centroids, naive_centroids(field, iterations))


@pytest.mark.parametrize("iterations", [0, 1, 2, 3, 298, 299, 300])
def test_cycles_of_two_end_by_parity(iterations):
    field = np.array([[[0, 0]], [[1, -1]]], np.float32)
    expected = [1, 0] if iterations % 2 else [0, 1]
    assert refine_centroids(field, max_iterations=iterations)[1, 0].tolist() == expected


def test_no_displacement_is_the_identity():
    centroids = refine_centroids(np.zeros((2, 5, 7), np.float32))
    np.testing.assert_array_equal(centroids, np.mgrid[:5, :7])


def test_a_field_that_points_to_a_centre_is_followed():
    centre = np.array([7, 12], np.float32)[:, None, None]
    centroids = refine_centroids((centre - np.mgrid[:20, :30].astype(np.float32)) / 2)
    assert (centroids == centre).all()


def test_what_points_outside_stays_on_the_edge():
    centroids = refine_centroids(np.full((2, 4, 6), -1e30, np.float32))
    assert (centroids == 0).all()
    assert refine_centroids(np.full((2, 1, 1), 5, np.float32)).tolist() == [[[0]], [[0]]]


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        refine_centroids(np.full((2, 3, 3), np.nan, np.float32))
