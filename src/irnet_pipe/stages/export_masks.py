"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk. `affinitynet` takes AffinityNet's
random walk, with a background score of its own in place of a threshold, and connected components (Ahn and Kwak 2018).

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_runs, unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.propagation import read_class_scores, read_instance_scores
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.numerics.label_maps import (
    AFFINITYNET_STRIDE,
    label_fragments,
    label_pixels,
    label_scores,
    label_with_background,
)
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.job import Job

SOURCES = {
    "cam": "infer_cam",
    "affinitynet": "propagate_affinitynet",
    "boundary": "propagate",
    "full": "propagate",
}
"""Variant → stage that makes its scores."""

LabelMap = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Label and score of each pixel."""


def run(job: Job) -> None:
    """Write the masks of a shard."""
    source = SOURCES[job.fact("variant")]
    with (
        ArtifactReader(job.parent(source), kind=KIND_OF_STAGE[source]) as scores,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            size = scores.size(entry.image_id)
            class_id = scores.read(entry.image_id, "class_id")
            arrays = {"class_id": class_id} | pack_runs("semantic", []) | pack_instances([], [], [])
            if len(class_id):
                arrays |= _masks(job, scores, entry.image_id, size)
            writer.add(entry.image_id, size, arrays)


def _masks(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    """Both kinds of masks; maps that both come from are read once, and labelled once for each threshold."""
    settings, threshold = job.setting("export.instance"), job.setting("export.semantic")["bg_threshold"]
    class_id, label = _class_maps(job.fact("variant"), scores, image_id, size)
    labels, best = label(bg_threshold=threshold)
    semantic = [encode_rle(labels == number) for number in range(1, 1 + len(class_id))]
    if job.fact("variant") == "full":
        class_id, score = read_instance_scores(scores, image_id)
        label = partial(label_scores, score, size=size.working, full_size=size.full)
        labels, best = label(bg_threshold=settings["bg_threshold"])
    elif settings["bg_threshold"] != threshold:
        labels, best = label(bg_threshold=settings["bg_threshold"])
    min_area = settings["min_fragment"] * size.height * size.width
    fragments = list(label_fragments(labels, best, min_area=min_area))
    return pack_runs("semantic", semantic) | pack_instances(
        [encode_rle(f.mask, top=f.top, left=f.left, size=size.full) for f in fragments],
        [class_id[f.index] for f in fragments],
        [f.score for f in fragments],
    )


def _class_maps(
    variant: str, scores: ArtifactReader, image_id: str, size: ImageSize
) -> tuple[NDArray[np.int32], Callable[..., LabelMap]]:
    """Class id of each map, and what labels the pixels of the displayed photo by the maps at a `bg_threshold`."""
    if variant == "cam":
        class_id, cam = _highres_cam(scores, image_id, size)
        return class_id, partial(label_pixels, cam, size=size.working, full_size=size.full)
    if variant == "affinitynet":
        found = label_with_background(
            unpack_maps(scores, image_id, "score"),
            size=size.working,
            full_size=size.full,
            stride=AFFINITYNET_STRIDE,
        )
        # the background has a map of its own in place of a threshold
        return scores.read(image_id, "class_id"), lambda bg_threshold: found
    class_id, score = read_class_scores(scores, image_id)
    return class_id, partial(label_scores, score, size=size.working, full_size=size.full)


def _highres_cam(
    cams: ArtifactReader, image_id: str, size: ImageSize
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    # the other variants start twice as fast without torch
    import torch

    from irnet_pipe.numerics.cam import highres_cam

    torch.set_num_threads(1)
    class_id, maps = read_class_maps(cams, image_id)
    return class_id, highres_cam([torch.from_numpy(map_) for map_ in maps], size=size.working).numpy()
