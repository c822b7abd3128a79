"""refine_displacement on a tiny run."""

import numpy as np
from contract import ShardContract

from irnet_pipe.numerics.cam import strided_size


class TestRefineDisplacement(ShardContract):
    stage = "refine_displacement"
    parents = ("infer_irnet", "calibrate_displacement")

    def check_arrays(self, reader, entry, job):
        grid = strided_size(*reader.sizes[entry.image_id].working)
        centroid = reader.read(entry.image_id, "centroid")
        instance_map = reader.read(entry.image_id, "instance_map")
        assert centroid.shape == (2, *grid) and centroid.dtype == np.int16
        assert (centroid >= 0).all() and (centroid < np.array(grid)[:, None, None]).all()
        assert instance_map.shape == grid and instance_map.dtype == np.uint16
        assert np.unique(instance_map).tolist() == list(range(instance_map.max() + 1))
