import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from irnet_pipe.numerics.run_lengths import compress_rle, decode_rle, decompress_rle, encode_rle, rle_area

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(MASKS)
def test_run_lengths_equal_those_of_coco(mask):
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encode_rle(mask)
    assert counts.dtype == np.uint32
    assert compress_rle(counts) == expected["counts"].decode()
    np.testing.assert_array_equal(decompress_rle(expected["counts"].decode()), counts)
    np.testing.assert_array_equal(decode_rle(counts, size=mask.shape), mask)
    assert rle_area(counts) == coco.area(expected)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(MASKS, st.tuples(*[st.integers(0, 5)] * 4))
def test_run_lengths_of_a_crop_are_those_of_the_whole(mask, border):
    top, bottom, left, right = border
    whole = np.pad(mask, ((top, bottom), (left, right)))
    np.testing.assert_array_equal(encode_rle(mask, top=top, left=left, size=whole.shape), encode_rle(whole))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(hnp.arrays(np.uint32, st.integers(1, 30), elements=st.integers(0, 2**32 - 1)))
def test_compressed_counts_of_any_size_come_back(counts):
    np.testing.assert_array_equal(decompress_rle(compress_rle(counts)), counts)


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match="counts sum to 12, but a mask of 3×5 has 15"):
        decode_rle(np.array([4, 8], np.uint32), size=(3, 5))
