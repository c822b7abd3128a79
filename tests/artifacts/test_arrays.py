"""Packing of maps and masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irnet_pipe.artifacts.arrays import (
    LEVELS,
    pack_levels,
    pack_maps,
    pack_runs,
    unpack_levels,
    unpack_maps,
    unpack_runs,
)


class Stored:
    """Packed arrays as an artifact would give them back."""

    def __init__(self, packed: dict[str, np.ndarray]) -> None:
        self.packed = packed

    def read(self, image_id: str, name: str) -> np.ndarray:
        return self.packed[name]


def round_trip(maps: np.ndarray) -> np.ndarray:
    return unpack_maps(Stored(pack_maps("map", maps)), "any", "map")


def levels_round_trip(maps: np.ndarray) -> np.ndarray:
    return unpack_levels(Stored(pack_levels("map", maps)), "any", "map")


MAPS = arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 5)),
    elements=st.floats(0, float(np.float32(1e30)), width=32),
)


@given(MAPS)
@settings(deadline=None, max_examples=50)
def test_maps_keep_eleven_bits(maps):
    unpacked = round_trip(maps)
    assert unpacked.shape == maps.shape and unpacked.dtype == np.float32
    peak = maps.max(axis=(1, 2), initial=0, keepdims=True)
    # Below 2⁻¹⁴ of the peak half precision has fewer bits: steps of 2⁻²⁴.
    bound = np.maximum(maps * 2.0**-11, peak * 2.0**-25) * 1.001 + 1e-37
    assert (np.abs(unpacked.astype(np.float64) - maps) <= bound).all()
    np.testing.assert_array_equal(unpacked.max(axis=(1, 2), initial=0), peak.ravel())


@pytest.mark.parametrize("n", [0, 2])
def test_maps_without_any_score(n):
    maps = np.zeros((n, 3, 4), dtype=np.float32)
    np.testing.assert_array_equal(round_trip(maps), maps)


@pytest.mark.parametrize("peak", [1e-38, 1e-6, 1.0, 7e4, 3e38])
def test_any_magnitude(peak):
    maps = np.array([[[0, 0.5, 1]]], dtype=np.float32) * np.float32(peak)
    np.testing.assert_allclose(round_trip(maps), maps, rtol=1e-3)
    np.testing.assert_allclose(levels_round_trip(maps), maps, rtol=1e-3)


@given(MAPS)
@settings(deadline=None, max_examples=50)
def test_levels_keep_half_a_level_of_the_peak(maps):
    unpacked = levels_round_trip(maps)
    assert unpacked.shape == maps.shape and unpacked.dtype == np.float32
    peak = maps.max(axis=(1, 2), initial=0, keepdims=True)
    error = np.abs(unpacked.astype(np.float64) - maps)
    assert (error <= peak * 1.00001 / (2 * LEVELS) + 1e-37).all()
    np.testing.assert_array_equal(unpacked.max(axis=(1, 2), initial=0), peak.ravel())


@pytest.mark.parametrize("n", [0, 2])
def test_levels_without_any_score(n):
    maps = np.zeros((n, 3, 4), dtype=np.float32)
    np.testing.assert_array_equal(levels_round_trip(maps), maps)


RUNS = st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6), max_size=5)


@given(RUNS)
@settings(deadline=None, max_examples=50)
def test_runs_round_trip(runs):
    counts = [np.array(one, dtype=np.uint32) for one in runs]
    packed = pack_runs("mask", counts)
    assert packed["mask_counts"].dtype == np.uint32
    unpacked = unpack_runs(Stored(packed), "any", "mask")
    assert [one.tolist() for one in unpacked] == runs
