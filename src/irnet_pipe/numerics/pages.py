"""Large arrays that take memory while they are there, and none after."""

import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

_AT_ONCE = getattr(mmap, "MAP_POPULATE", 0)  # Linux alone


def zero_pages(shape: tuple[int, ...], dtype: npt.DTypeLike, *, sparse: bool = False) -> npt.NDArray[Any]:
    """An array of zeros in memory pages of its own, which go back to the system with it.

    On the heap, arrays of some megabytes that come and go leave holes between those that stay.

    Args:
        shape: at least one element.
        dtype: of the elements.
        sparse: pages take memory when they are first written to; otherwise at once, which is faster for those
            that all will be.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (0 if sparse else _AT_ONCE)
    area = mmap.mmap(-1, math.prod(shape) * np.dtype(dtype).itemsize, flags=flags)
    return np.frombuffer(area, dtype).reshape(shape)
