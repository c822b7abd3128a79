"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk.

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.arrays import pack_runs, unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
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
    scores: ArtifactReader, image_id: str, name: str, *, size: ImageSize, threshold: float
) -> tuple[Tensor, Tensor]:
    """Label and score of each pixel of the displayed photo, by the maps of one name or by the CAM."""
    if name == "cam":
        _, maps = read_class_maps(scores, image_id)
        cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=size.working)
        return label_pixels(cam, size=size.working, full_size=size.full, bg_threshold=threshold)
    score = torch.from_numpy(unpack_maps(scores, image_id, name))
    return decode_scored_maps(score, size=size.working, full_size=size.full, bg_threshold=threshold)


def _semantic(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    name = "cam" if job.fact("variant") == "cam" else "class_score"
    threshold = job.setting("export.semantic")["bg_threshold"]
    labels, _ = _label(scores, image_id, name, size=size, threshold=threshold)
    n_classes = len(scores.read(image_id, "class_id"))
    return pack_runs("semantic", [encode_rle(labels.numpy() == label) for label in range(1, n_classes + 1)])


def _instances(job: Job, scores: ArtifactReader, image_id: str, size: ImageSize) -> dict[str, NDArray[Any]]:
    name = {"cam": "cam", "boundary": "class_score", "full": "instance_score"}[job.fact("variant")]
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
