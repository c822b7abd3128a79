"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk. `affinitynet` takes AffinityNet's
random walk, with a background score of its own in place of a threshold, and connected components (Ahn and Kwak 2018).

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_runs, unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.masks import mask_name, pack_instances
from irnet_pipe.artifacts.propagation import read_class_scores, read_instance_scores
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.numerics.label_maps import (
    AFFINITYNET_STRIDE,
    label_fragments,
    label_pixels,
    label_scores,
    label_with_background,
)
from irnet_pipe.numerics.run_lengths import decode_rle, encode_rle
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
    semantic = {int(name): encode_rle(labels == number) for number, name in enumerate(class_id, start=1)}
    if job.fact("variant") == "full":
        class_id, score = read_instance_scores(scores, image_id)
        label = partial(label_scores, score, size=size.working, full_size=size.full)
        labels, best = label(bg_threshold=settings["bg_threshold"])
    elif settings["bg_threshold"] != threshold:
        labels, best = label(bg_threshold=settings["bg_threshold"])
    min_area = settings["min_fragment"] * size.height * size.width
    fragments = list(label_fragments(labels, best, min_area=min_area))
    runs = [encode_rle(f.mask, top=f.top, left=f.left, size=size.full) for f in fragments]
    classes = [int(class_id[f.index]) for f in fragments]
    instance_scores = [f.score for f in fragments]
    if wrong := job.record.spec.get("wrong", {}).get(image_id):
        for number in _marked(runs, wrong, image_id=image_id):
            instance_scores[number] = 0
            semantic[classes[number]] = _without(semantic[classes[number]], runs[number], size=size.full)
    return pack_runs("semantic", list(semantic.values())) | pack_instances(runs, classes, instance_scores)


def _marked(runs: Sequence[NDArray[np.uint32]], wrong: Sequence[str], *, image_id: str) -> list[int]:
    """Masks that a review marks wrong; as fragments they stay in the artifact, and are left out of exports."""
    marked = [number for number, mask in enumerate(runs) if mask_name(mask) in wrong]
    if len(marked) < len(wrong):
        sys.stderr.write(
            f"note: image {image_id!r}: {len(wrong) - len(marked)} of {len(wrong)} masks that the review marks wrong "
            "are none of those made now; look at them in the new report\n"
        )
    return marked


def _without(
    mask: NDArray[np.uint32], other: NDArray[np.uint32], *, size: tuple[int, int]
) -> NDArray[np.uint32]:
    """A mask without the pixels of another, as run lengths."""
    return encode_rle(decode_rle(mask, size=size) & ~decode_rle(other, size=size))


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
