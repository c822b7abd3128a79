"""What a reader of many images keeps in memory."""

from __future__ import annotations

import h5py
import numpy as np

from irnet_pipe.artifacts.hdf5 import CACHE_BYTES, bound_cache, own_object


def test_what_is_kept_does_not_grow_with_the_objects_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", libver=("v110", "v110"), track_order=True) as file:
        for number in range(600):
            file[f"images/{number:03d}/map"] = np.full(3, number)
    kept = []
    for bounded in (False, True):
        with h5py.File(tmp_path / "x.h5", "r") as file:
            if bounded:
                bound_cache(file)
            for number in range(600):
                assert own_object(file, f"images/{number:03d}/map")[0] == number
            kept.append(file.id.get_mdc_size()[2])
    assert kept[1] <= 2 * CACHE_BYTES < kept[0]
