"""infer_irnet on a tiny run."""

import numpy as np
from contract import DeviceContract

from irnet_pipe.artifacts.irnet_maps import read_boundary, read_displacement
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.numerics.cam import strided_size


class TestInferIrnet(DeviceContract):
    stage = "infer_irnet"
    parents = ("train_irnet",)
    opens_photos = True
    forward = (IRNet, "forward")
    size_keys = "dataset.working_long_side or irnet.infer.canvas"

    def check_arrays(self, reader, entry, job):
        grid = strided_size(*reader.sizes[entry.image_id].working)
        boundary = read_boundary(reader, entry.image_id)
        displacement = read_displacement(reader, entry.image_id)
        assert boundary.shape == grid and displacement.shape == (2, *grid)
        assert boundary.dtype == displacement.dtype == np.float32
        assert (boundary >= 0).all() and (boundary <= 1).all()
        assert np.isfinite(displacement).all()
