"""Score maps of a variant of masks, whichever stage makes them, and the labels of pixels by them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import Source, unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.propagation import read_class_scores, read_instance_scores
from irnet_pipe.numerics.label_maps import label_pixels, label_scores, label_with_background
from irnet_pipe.numerics.strides import AFFINITYNET_STRIDE

STAGES = {
    "cam": "infer_cam",
    "affinitynet": "propagate_affinitynet",
    "boundary": "propagate",
    "full": "propagate",
}
"""Variant → stage that makes its scores."""

NOT_CHOSEN = 0.25
"""Score of the background where it is left to be chosen, and nothing tells which: that of the paper."""

Size = tuple[int, int]
Labelling = Callable[..., tuple[NDArray[np.int32], NDArray[np.float32]]]
"""`bg_threshold` → label (0 background, i + 1 map i) and score of each pixel."""


def class_labelling(
    variant: str, source: Source, image_id: str, *, size: Size, full_size: Size
) -> tuple[NDArray[np.int32], Labelling]:
    """Class id (k,) of each class map, and what labels pixels by these maps.

    Args:
        variant: of the masks.
        source: artifacts of the stage that makes its scores.
        image_id: an image with classes.
        size: (H, W) of the photo as processed.
        full_size: (H0, W0) of the label map.
    """
    if variant == "cam":
        class_id, cam = _highres_cam(source, image_id, size)
        return class_id, partial(label_pixels, cam, size=size, full_size=full_size)
    if variant == "affinitynet":
        score = unpack_maps(source, image_id, "score")
        found = label_with_background(score, size=size, full_size=full_size, stride=AFFINITYNET_STRIDE)
        # the background has a map of its own in place of a threshold
        return source.read(image_id, "class_id"), lambda bg_threshold: found
    class_id, score = read_class_scores(source, image_id)
    return class_id, partial(label_scores, score, size=size, full_size=full_size)


def instance_labelling(
    source: Source, image_id: str, *, size: Size, full_size: Size
) -> tuple[NDArray[np.int32], Labelling]:
    """Class id (m,) of each instance map of the variant `full`, and what labels pixels by these; see above."""
    class_id, score = read_instance_scores(source, image_id)
    return class_id, partial(label_scores, score, size=size, full_size=full_size)


def _highres_cam(cams: Source, image_id: str, size: Size) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    # the other variants start twice as fast without torch
    import torch

    from irnet_pipe.numerics.cam import highres_cam

    torch.set_num_threads(1)
    class_id, maps = read_class_maps(cams, image_id)
    return class_id, highres_cam([torch.from_numpy(map_) for map_ in maps], size=size).numpy()
