"""Arrays in memory pages of their own."""

import gc
import mmap
from pathlib import Path

import numpy as np
import pytest

from irnet_pipe.numerics.pages import zero_pages

STATM = Path("/proc/self/statm")
LARGE = (64, 2**20)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(STATM.read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int64])
def test_zeros_that_can_be_written(dtype, sparse):
    array = zero_pages((3, 1, 5), dtype, sparse=sparse)
    assert array.shape == (3, 1, 5) and array.dtype == dtype and not array.any()
    array[1:] += 7
    assert array.sum() == 70


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux: what is resident")
def test_memory_goes_back_with_the_array():
    gc.collect()
    before = resident()
    array = zero_pages(LARGE, np.uint8)
    assert resident() - before >= 0.9 * array.nbytes
    view = array[1:]
    del array
    assert resident() - before >= 0.9 * view.nbytes, "a view keeps it"
    del view
    assert resident() - before <= 0.1 * np.prod(LARGE)


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux: what is resident")
def test_sparse_pages_take_memory_when_they_are_written_to():
    gc.collect()
    before = resident()
    array = zero_pages(LARGE, np.uint8, sparse=True)
    array[:4] = 1
    assert resident() - before <= 0.2 * array.nbytes
