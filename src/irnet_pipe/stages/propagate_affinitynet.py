"""propagate_affinitynet: random walk of the scores of background and classes among AffinityNet's features.

Ahn and Kwak 2018, sec. 3.3. Stored per image are class_id (k,) and score (1 + k, h, w) at stride 8, background first.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, write_artifact
from irnet_pipe.data.photos import normalise
from irnet_pipe.models.affinitynet import photo_features
from irnet_pipe.models.fused import for_inference
from irnet_pipe.models.trained import load_affinitynet
from irnet_pipe.numerics.affinity_labels import join_background, pool_scores
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.random_walk import propagate_features
from irnet_pipe.numerics.strides import AFFINITYNET_STRIDE
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import explain_out_of_memory, too_large_photo
from irnet_pipe.runtime.photos import image_size, open_photo

SIZE_KEYS = "dataset.working_long_side"
"""What decides how large an image the network sees."""


def run(job: Job) -> None:
    """Write propagated scores of a shard."""
    torch.set_num_threads(1)
    device, precision = use_device(job.device), job.setting("affinitynet.infer")["precision"]
    model = for_inference(load_affinitynet(job.parent("train_affinitynet")), device, precision)
    walk = {"radius": job.setting("affinitynet.radius"), **job.setting("affinitynet.walk")}
    alpha = walk.pop("alpha")
    with (
        ArtifactReader(job.parent("infer_cam"), kind="cam") as cams,
        write_artifact(job.output, job.record) as writer,
        torch.inference_mode(),
    ):
        for entry in job.progress(job.images):
            class_id, maps = read_class_maps(cams, entry.image_id)
            arrays: dict[str, NDArray[Any]] = {"class_id": class_id}
            photo = open_photo(job, entry)
            if len(class_id):
                cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=photo.shape[:2])
                too_large = too_large_photo(job.photo(entry), size=photo.shape[:2], keys=SIZE_KEYS)
                with explain_out_of_memory(too_large):
                    with autocast(device, precision):
                        features = photo_features(model, normalise(photo).to(device))
                    score = pool_scores(join_background(cam, alpha=alpha)).to(device)
                    score = propagate_features(score, features, **walk)
                arrays |= pack_maps("score", score.cpu().numpy())
            writer.add(entry.image_id, image_size(entry, photo), arrays, {"stride": AFFINITYNET_STRIDE})
