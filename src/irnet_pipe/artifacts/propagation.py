"""Score maps of a propagate artifact, as read by the stages after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import Source, unpack_levels


def read_instance_scores(source: Source, image_id: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Class id (m,) and score map (m, h, w) of each instance."""
    return source.read(image_id, "instance_class"), unpack_levels(source, image_id, "instance_score")


def read_class_scores(source: Source, image_id: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Class ids (k,), ascending, and the score map (k, h, w) of each.

    As the walk is linear, it is the sum of those of its instances.
    """
    class_id = source.read(image_id, "class_id")
    instance_class, instances = read_instance_scores(source, image_id)
    scores = np.zeros((len(class_id), *instances.shape[1:]), dtype=np.float32)
    for index, instance in zip(np.searchsorted(class_id, instance_class), instances, strict=True):
        scores[index] += instance
    return class_id, scores
