from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics.clustering import cluster_centroids, connected_components

GOLDEN = Path(__file__).parents[1] / "golden"


def flood_fill(mask: np.ndarray) -> np.ndarray:
    labels, count = np.zeros(mask.shape, int), 0
    for seed in np.argwhere(mask):
        if labels[tuple(seed)]:
            continue
        count += 1
        pending = [tuple(seed)]
        while pending:
            y, x = pending.pop()
            inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if inside and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                pending += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return labels


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_components_are_numbered_in_raster_order(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    np.testing.assert_array_equal(connected_components(mask), flood_fill(mask))


@pytest.mark.parametrize("case", [0, 1, 2])
def test_clusters_equal_the_reference_up_to_numbering(case):
    golden = np.load(GOLDEN / f"displacement_{case}.npz", allow_pickle=False)
    instance_map = cluster_centroids(
        golden["centroids"], golden["displacement"], threshold=float(golden["threshold"])
    )
    expected = golden["instance_onehot"].argmax(0)
    pairs = set(zip(instance_map.flatten().tolist(), expected.flatten().tolist(), strict=True))
    assert len(pairs) == len(golden["instance_onehot"]) == int(instance_map.max()) + 1


def test_strays_form_one_instance_of_their_own():
    displacement = np.zeros((2, 1, 5), np.float32)
    displacement[1, 0, [1, 3]] = 3
    centroids = np.array([[[0, 0, 0, 0, 0]], [[0, 1, 4, 3, 4]]])
    assert cluster_centroids(centroids, displacement).tolist() == [[1, 0, 2, 0, 2]]


def test_the_threshold_is_strict():
    displacement = np.array([[[0, 1.5]], [[0, 2]]], np.float32)
    centroids = np.array([[[0, 0]], [[0, 1]]])
    assert cluster_centroids(centroids, displacement, threshold=2.5).tolist() == [[1, 0]]
    assert cluster_centroids(centroids, displacement, threshold=2.6).tolist() == [[0, 0]]


def test_one_pixel_is_one_instance():
    zero = np.zeros((2, 1, 1), np.float32)
    assert cluster_centroids(zero.astype(int), zero).tolist() == [[0]]
