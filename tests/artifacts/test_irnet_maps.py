"""Boundary maps and displacement fields as they are stored."""

import numpy as np
import pytest
from test_arrays import Stored

from irnet_pipe.artifacts.arrays import LEVELS
from irnet_pipe.artifacts.irnet_maps import PIXEL, pack_irnet_maps, read_boundary, read_displacement


@pytest.mark.parametrize(
    ("longest", "stored"), [(0, "int16"), (60, "int16"), (255.9, "int16"), (256, "int32"), (4000, "int32")]
)
def test_errors_are_half_a_step_at_most(rng, longest, stored):
    boundary = rng.random((5, 7), dtype=np.float32)
    boundary[0, :2] = 0, 1
    displacement = ((rng.random((2, 5, 7)) * 2 - 1) * longest).astype(np.float32)
    displacement[0, 0, 0] = -longest
    packed = pack_irnet_maps(boundary, displacement)
    assert (packed["boundary"].dtype, packed["displacement"].dtype) == (np.uint16, np.dtype(stored))
    found = read_boundary(Stored(packed), "any"), read_displacement(Stored(packed), "any")
    assert {map_.dtype for map_ in found} == {np.dtype(np.float32)}
    assert found[0][0, :2].tolist() == [0, 1]
    assert np.abs(found[0] - boundary).max() <= 0.5001 / LEVELS
    assert np.abs(found[1] - displacement).max() <= 0.5 / PIXEL
