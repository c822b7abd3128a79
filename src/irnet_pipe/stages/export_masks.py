"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk. `affinitynet` takes AffinityNet's
random walk, with a background score of its own in place of a threshold, and connected components (Ahn and Kwak 2018).

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.arrays import pack_runs, unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.numerics.affinity_labels import STRIDE
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.masks import (
    decode_scored_maps,
    decode_with_background,
    detect_in_label_map,
    label_pixels,
)
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.job import Job


class Source(NamedTuple):
    """What the masks of a variant are made of: an artifact, and its maps of classes and of instances."""

    stage: str
    kind: str
    semantic: str
    instance: str


SOURCES = {
    "cam": Source("infer_cam", "cam", semantic="cam", instance="cam"),
    "boundary": Source("propagate", "propagation", semantic="class_score", instance="class_score"),
    "full": Source("propagate", "propagation", semantic="class_score", instance="instance_score"),
    "affinitynet": Source(
        "propagate_affinitynet", "affinity_propagation", semantic="score", instance="score"
    ),
}


def run(job: Job) -> None:
    """Write the masks of a shard."""
    torch.set_num_threads(1)
    source = SOURCES[job.fact("variant")]
    with (
        ArtifactReader(job.parent(source.stage), kind=source.kind) as scores,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            size = scores.size(entry.image_id)
            class_id = scores.read(entry.image_id, "class_id")
            arrays = {"class_id": class_id} | pack_runs("semantic", []) | pack_instances([], [], [])
            if len(class_id):
                arrays |= _semantic(job, scores, entry.image_id, size)
                arrays |= _instances(job, scores, entry.image_id, size)
            writer.add(entry.image_id, size, arrays)


def _label(
    scores: ArtifactReader, image_id: str, name: str, *, size: ImageSize, threshold: float
) -> tuple[Tensor, Tensor]:
    """Label and score of each pixel of the displayed photo, by the maps of one name or by the CAM."""
    if name == "cam":
        _, maps = read_class_maps(scores, image_id)
        cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=size.working)
        return label_pixels(cam, size=size.working, full_size=size.full, bg_threshold=threshold)
    score = torch.from_numpy(unpack_maps(scores, image_id, name))
    if name == "score":  # the first is the background's
        return decode_with_background(score, size=size.working, full_size=size.full, stride=STRIDE)
    return decode_scored_maps(score, size=size.working, full_size=size.full, bg_threshold=threshold)


def _semantic(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    name = SOURCES[job.fact("variant")].semantic
    threshold = job.setting("export.semantic")["bg_threshold"]
    labels, _ = _label(scores, image_id, name, size=size, threshold=threshold)
    n_classes = len(scores.read(image_id, "class_id"))
    return pack_runs("semantic", [encode_rle(labels.numpy() == label) for label in range(1, n_classes + 1)])


def _instances(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    name = SOURCES[job.fact("variant")].instance
    settings = job.setting("export.instance")
    labels, best = _label(scores, image_id, name, size=size, threshold=settings["bg_threshold"])
    min_area = settings["min_fragment"] * size.height * size.width
    class_id = scores.read(image_id, "instance_class" if name == "instance_score" else "class_id")
    fragments = list(detect_in_label_map(labels, best, min_area=min_area))
    return pack_instances(
        [encode_rle(f.mask, top=f.top, left=f.left, size=size.full) for f in fragments],
        [class_id[f.index] for f in fragments],
        [f.score for f in fragments],
    )
