"""infer_cam: raw class maps of each photo at several scales, those of its mirror merged (Ahn et al. 2019, sec. 6.1).

Stored are the raw maps (k, h_s, w_s) at stride 16 of each scale; strided and highres maps are derived on reading.
"""

from __future__ import annotations

import numpy as np
import torch

from irnet_pipe.artifacts.arrays import pack_maps
from irnet_pipe.artifacts.io import write_artifact
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import normalise, rescale
from irnet_pipe.models.cam_net import CamNet, multi_scale_class_maps
from irnet_pipe.models.fused import for_inference
from irnet_pipe.models.trained import load_cam_net
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import GIVE_BACK_EVERY, explain_out_of_memory, give_back_freed, too_large_photo
from irnet_pipe.runtime.photos import image_size, open_photo

SIZE_KEYS = "dataset.working_long_side or the largest of cam.infer.scales"
"""What decides how large an image the network sees."""


def run(job: Job) -> None:
    """Write the class maps of a shard."""
    torch.set_num_threads(1)
    device = use_device(job.device)
    settings = job.setting("cam.infer")
    model = for_inference(load_cam_net(job.parent("train_cam")), device, settings["precision"])
    with write_artifact(job.output, job.record) as writer, torch.inference_mode():
        for number, entry in enumerate(job.progress(job.images)):
            if number % GIVE_BACK_EVERY == 0:
                give_back_freed()
            photo = open_photo(job, entry)
            too_large = too_large_photo(job.photo(entry), size=photo.shape[:2], keys=SIZE_KEYS)
            with autocast(device, settings["precision"]), explain_out_of_memory(too_large):
                classes = _classes(job, entry, model, normalise(photo).to(device))
                scaled = [normalise(rescale(photo, scale)).to(device) for scale in settings["scales"]]
                maps = multi_scale_class_maps(model, scaled, classes=classes) if classes else []
            arrays = {"class_id": np.asarray(classes, dtype=np.int32)}
            for number, map_ in enumerate(maps):
                arrays |= pack_maps(f"map_{number}", map_.cpu().numpy())
            attributes = {"stride": 16, "scales": settings["scales"], "predicted": int(entry.labels is None)}
            writer.add(entry.image_id, image_size(entry, photo), arrays, attributes)


def _classes(job: Job, entry: ImageEntry, model: CamNet, photo: torch.Tensor) -> list[int]:
    """The image's own classes; predicted where its labels are missing and the config says so."""
    if entry.labels is not None:
        return list(entry.labels)
    probability = torch.sigmoid(model(photo[None])[0].float())
    return torch.nonzero(probability >= job.setting("dataset.predict_threshold")).flatten().tolist()
