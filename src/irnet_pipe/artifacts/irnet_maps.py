"""Boundary map and displacement field of an infer_irnet artifact, as written and as read by the stages after it.

Both are rounded to what their use resolves, which compresses to under half of half precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import LEVELS, Source

PIXEL = 128
"""Steps of a displacement in one pixel at stride 4."""


def pack_irnet_maps(
    boundary: NDArray[np.float32], displacement: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Arrays `boundary` (h,w) u2, in steps of 1/1023, and `displacement` (2,h,w) i2 (i4 beyond ±255 px) in 1/128 px.

    Args:
        boundary: (h, w) in 0…1.
        displacement: (2, h, w) raw (dy, dx) in pixels at stride 4.
    """
    steps = np.rint(displacement * PIXEL)
    short = np.abs(steps).max(initial=0) < 2**15
    return {
        "boundary": np.rint(boundary * LEVELS).astype(np.uint16),
        "displacement": steps.astype(np.int16 if short else np.int32),
    }


def has_irnet_maps(source: Source, image_id: str) -> bool:
    """Whether an image has maps: one that is known to hold no class has none."""
    return "displacement" in source.names(image_id)


def read_boundary(source: Source, image_id: str) -> NDArray[np.float32]:
    """Boundary map (h, w) in 0…1."""
    boundary: NDArray[np.float32] = source.read(image_id, "boundary").astype(np.float32) / np.float32(LEVELS)
    return boundary


def read_displacement(source: Source, image_id: str) -> NDArray[np.float32]:
    """Raw displacement (2, h, w): (dy, dx) in pixels at stride 4."""
    displacement: NDArray[np.float32] = source.read(image_id, "displacement").astype(np.float32) / np.float32(
        PIXEL
    )
    return displacement
