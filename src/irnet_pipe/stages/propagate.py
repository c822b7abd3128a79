"""propagate: random walk of instance-wise scores within boundaries (Ahn et al. 2019, sec. 5.2, 5.3).

Stored per image are class_id (k,) and instance_score (m, h, w) with instance_class (m,) and instance_id (m,). Clusters
partition the image and the walk is linear, so the map of a class is the sum of those of its instances, and is not
stored (`artifacts.propagation`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_levels
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, write_artifact
from irnet_pipe.artifacts.irnet_maps import read_boundary
from irnet_pipe.numerics.cam import instance_cams, strided_cam
from irnet_pipe.numerics.random_walk import propagate
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write propagated scores of a shard."""
    torch.set_num_threads(1)
    walk = job.setting("random_walk")
    with (
        ArtifactReader(job.parent("infer_cam"), kind="cam") as cams,
        ArtifactReader(job.parent("infer_irnet"), kind="irnet_maps") as maps,
        ArtifactReader(job.parent("refine_displacement"), kind="instances") as instances,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            image_id = entry.image_id
            class_id, class_maps = read_class_maps(cams, image_id)
            arrays: dict[str, NDArray[Any]] = {"class_id": class_id}
            if len(class_id):
                size = cams.size(image_id).working
                boundary = torch.from_numpy(read_boundary(maps, image_id))
                instance_map = torch.from_numpy(instances.read(image_id, "instance_map").astype(np.int64))
                cam = strided_cam([torch.from_numpy(map_) for map_ in class_maps], size=size)
                score, class_index, instance_id = instance_cams(cam, instance_map)
                score = propagate(score, boundary, **walk)
                arrays |= pack_levels("instance_score", score.numpy())
                arrays["instance_class"] = class_id[class_index.numpy()]
                arrays["instance_id"] = instance_id.numpy().astype(np.int32)
            writer.add(image_id, cams.size(image_id), arrays, {"stride": 4})
