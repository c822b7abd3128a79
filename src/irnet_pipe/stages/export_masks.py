"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk.

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.propagation import read_class_scores, read_instance_scores
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.masks import decode_scored_maps, detect_in_label_map, label_pixels
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the masks of a shard."""
    torch.set_num_threads(1)
    cams = job.fact("variant") == "cam"
    source = job.parent("infer_cam" if cams else "propagate")
    with (
        ArtifactReader(source, kind="cam" if cams else "propagation") as scores,
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
    job: Job, scores: ArtifactReader, image_id: str, name: str, *, size: ImageSize, threshold: float
) -> tuple[NDArray[np.int32], Tensor, Tensor]:
    """Class id of each map, and label and score of each pixel of the displayed photo."""
    if job.fact("variant") == "cam":
        class_id, maps = read_class_maps(scores, image_id)
        cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=size.working)
        found = label_pixels(cam, size=size.working, full_size=size.full, bg_threshold=threshold)
    else:
        read = read_instance_scores if name == "instance" else read_class_scores
        class_id, score = read(scores, image_id)
        found = decode_scored_maps(
            torch.from_numpy(score), size=size.working, full_size=size.full, bg_threshold=threshold
        )
    return class_id, *found


def _semantic(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    threshold = job.setting("export.semantic")["bg_threshold"]
    class_id, labels, _ = _label(job, scores, image_id, "class", size=size, threshold=threshold)
    return pack_runs("semantic", [encode_rle(labels.numpy() == label + 1) for label in range(len(class_id))])


def _instances(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    name = "instance" if job.fact("variant") == "full" else "class"
    settings = job.setting("export.instance")
    class_id, labels, best = _label(
        job, scores, image_id, name, size=size, threshold=settings["bg_threshold"]
    )
    min_area = settings["min_fragment"] * size.height * size.width
    fragments = list(detect_in_label_map(labels, best, min_area=min_area))
    return pack_instances(
        [encode_rle(f.mask, top=f.top, left=f.left, size=size.full) for f in fragments],
        [class_id[f.index] for f in fragments],
        [f.score for f in fragments],
    )
