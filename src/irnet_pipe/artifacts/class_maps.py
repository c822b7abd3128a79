"""Class maps of an infer_cam artifact, as read by the stages after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import Source, unpack_maps


def read_class_maps(source: Source, image_id: str) -> tuple[NDArray[np.int32], list[NDArray[np.float32]]]:
    """Class ids (k,) and one raw map (k, h_s, w_s) per scale; no maps where k = 0."""
    class_id = source.read(image_id, "class_id")
    if not len(class_id):
        return class_id, []
    scales = [
        name for name in source.names(image_id) if name.startswith("map_") and not name.endswith("_peak")
    ]
    return class_id, [unpack_maps(source, image_id, f"map_{number}") for number in range(len(scales))]
