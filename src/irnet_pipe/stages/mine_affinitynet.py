"""mine_affinitynet: what AffinityNet learns from, of training images that have labels (Ahn and Kwak 2018, sec. 3.1).

Stored are the CRF's probabilities of background and the image's own classes, (1 + k, H, W) u1 in 255ths, with much
background (low_alpha) and with little (high_alpha). Labels are decided on crops, by the trainer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, write_artifact
from irnet_pipe.numerics.affinity_labels import refined_scores
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.photos import image_size, open_photo


def run(job: Job) -> None:
    """Write the refined scores of a shard."""
    torch.set_num_threads(1)
    settings = dict(job.setting("affinitynet.relations"))
    crf = settings.pop("crf")
    with (
        ArtifactReader(job.parent("infer_cam"), kind="cam") as cams,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            if not entry.labels:
                writer.add(entry.image_id, cams.size(entry.image_id), {})
                continue
            photo = open_photo(job, entry)
            class_id, maps = read_class_maps(cams, entry.image_id)
            cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=photo.shape[:2])
            low, high = refined_scores(torch.from_numpy(photo), cam, **settings, **crf)
            arrays = {"class_id": class_id, "low_alpha": _quantised(low), "high_alpha": _quantised(high)}
            writer.add(entry.image_id, image_size(entry, photo), arrays)


def _quantised(probability: Tensor) -> NDArray[Any]:
    return (255 * probability).round().to(torch.uint8).numpy().astype(np.uint8)
