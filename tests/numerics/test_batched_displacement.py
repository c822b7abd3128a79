"""Centroids of several fields at once against those of each."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics import displacement
from irnet_pipe.numerics.batched.displacement import refine_centroids

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
SIZES = [(13, 17), (1, 1), (1, 9), (9, 1), (2, 2), (24, 11)]


def field_of(kind: str, size: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    height, width = size
    grid = np.mgrid[:height, :width].astype(np.float32)
    apart = grid - (np.array(size, np.float32).reshape(2, 1, 1) - 1) / 2
    match kind:
        case "resting":
            field = -apart / 2
        case "cycling":  # from each column to its neighbour and back
            field = np.stack([np.zeros(size), np.where(grid[1] % 2 == 0, 1, -1)])
        case "restless":  # around the middle
            y, x = apart
            field = np.stack([np.cos(0.7) * y - np.sin(0.7) * x, np.sin(0.7) * y + np.cos(0.7) * x]) - apart
        case "noise":
            field = rng.standard_normal((2, *size)) * 3
        case "outwards":
            field = np.full((2, *size), -3e38)
    return field.astype(np.float32)


def assert_equal_to_single_fields(fields: list[np.ndarray], device: str, max_iterations: int) -> None:
    together = refine_centroids(
        [torch.from_numpy(field).to(device) for field in fields], max_iterations=max_iterations
    )
    assert len(together) == len(fields)
    for centroids, field in zip(together, fields, strict=True):
        assert (centroids.dtype, centroids.device.type) == (torch.int64, device)
        expected = displacement.refine_centroids(field, max_iterations=max_iterations)
        np.testing.assert_array_equal(centroids.cpu(), expected)


@DEVICES
@pytest.mark.parametrize("kind", ["resting", "cycling", "restless", "noise", "outwards"])
@pytest.mark.parametrize("iterations", [0, 1, 2, 7, 8, 9, 17, 299, 300])
def test_fields_of_a_kind(device, kind, iterations):
    assert_equal_to_single_fields([field_of(kind, size) for size in SIZES], device, iterations)


@DEVICES
@pytest.mark.parametrize("iterations", [40, 41, 300])
def test_fields_of_all_kinds_together(device, iterations):
    kinds = ["restless", "cycling", "noise", "resting", "outwards", "restless", "noise"]
    fields = [field_of(kind, (12 + i, 19 - i), seed=i) for i, kind in enumerate(kinds)]
    assert_equal_to_single_fields(fields, device, iterations)


def test_the_made_fields_do_what_they_are_to():
    def after(kind, iterations):
        return displacement.refine_centroids(field_of(kind, (13, 17)), max_iterations=iterations)

    assert np.array_equal(after("resting", 40), after("resting", 41))
    for kind in ("cycling", "restless"):
        assert not np.array_equal(after(kind, 299), after(kind, 300))
    assert np.array_equal(after("cycling", 298), after("cycling", 300))
    assert not np.array_equal(after("restless", 298), after("restless", 300))


@DEVICES
@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5),
    strength=st.sampled_from([0.01, 0.3, 1, 5, 50]),
    seed=st.integers(0, 2**32 - 1),
    iterations=st.integers(0, 60),
)
def test_random_fields(device, sizes, strength, seed, iterations):
    rng = np.random.default_rng(seed)
    fields = [(rng.standard_normal((2, *size)) * strength).astype(np.float32) for size in sizes]
    assert_equal_to_single_fields(fields, device, iterations)


def test_no_fields():
    assert refine_centroids([]) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value):
    fields = [torch.zeros(2, 3, 4), torch.zeros(2, 1, 2), torch.zeros(2, 5, 2)]
    fields[1][1, 0, 1] = value
    with pytest.raises(ValueError, match="photo 1: displacement holds values that are not finite"):
        refine_centroids(fields)
