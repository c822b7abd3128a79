"""Run lengths united and intersected, against the decoded masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics.mask_algebra import intersections, runs_between, unite_runs
from irnet_pipe.numerics.run_lengths import decode_rle, encode_rle

SIZE = (4, 5)


def random_masks(seed, count):
    rng = np.random.default_rng(seed)
    return rng.random((count, *SIZE)) < rng.random((count, 1, 1))


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(0, 3), n=st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_intersections_are_those_of_the_masks(seed, m, n):
    masks = random_masks(seed, m + n)
    a, b = masks[:m], masks[m:]
    expected = [[(x & y).sum() for y in b] for x in a]
    found = intersections([encode_rle(x) for x in a], [encode_rle(y) for y in b])
    np.testing.assert_array_equal(found, np.reshape(expected, (m, n)))


def test_runs_of_length_zero_change_nothing():
    plain, odd = np.array([3, 9, 8]), np.array([0, 0, 3, 4, 0, 5, 8, 0])
    other = np.array([0, 5, 10, 5])
    assert intersections([plain], [other]) == intersections([odd], [other]) == [[2]]
    np.testing.assert_array_equal(unite_runs([odd, other], size=SIZE), unite_runs([plain, other], size=SIZE))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_union_is_that_of_the_masks(seed, count):
    masks = random_masks(seed, count)
    united = unite_runs([encode_rle(mask) for mask in masks], size=SIZE)
    np.testing.assert_array_equal(united, encode_rle(masks.any(axis=0)))
    assert united.dtype == np.uint32


def test_union_of_nothing_is_empty():
    assert unite_runs([], size=SIZE).tolist() == [20]


@pytest.mark.parametrize("borders", [[], [0], [3, 7], [0, 20], [4, 20]])
def test_runs_between_borders(borders):
    changes = np.isin(np.arange(20), borders)
    expected = np.cumsum(changes) % 2 == 1
    runs = runs_between(np.array(borders, dtype=np.int64), size=SIZE)
    np.testing.assert_array_equal(decode_rle(runs, size=SIZE).T.ravel(), expected)
