"""infer_irnet: boundary map and raw displacement field of each photo (Ahn et al. 2019, sec. 4.1).

Stored are both at stride 4 (`artifacts.irnet_maps`). Images known to hold no class have neither.
"""

from __future__ import annotations

import torch

from irnet_pipe.artifacts.io import write_artifact
from irnet_pipe.artifacts.irnet_maps import pack_irnet_maps
from irnet_pipe.data.photos import normalise
from irnet_pipe.models.fused import for_inference
from irnet_pipe.models.irnet import boundary_and_displacement
from irnet_pipe.models.trained import load_irnet
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import explain_out_of_memory, too_large_photo
from irnet_pipe.runtime.photos import image_size, open_photo

SIZE_KEYS = "dataset.working_long_side or irnet.infer.canvas"
"""What decides how large an image the network sees."""


def run(job: Job) -> None:
    """Write boundary maps and displacement fields of a shard."""
    torch.set_num_threads(1)
    device = use_device(job.device)
    settings = job.setting("irnet.infer")
    model = for_inference(load_irnet(job.parent("train_irnet")), device, settings["precision"])
    with write_artifact(job.output, job.record) as writer, torch.inference_mode():
        for entry in job.progress(job.images):
            photo = open_photo(job, entry)
            arrays = {}
            if entry.labels != ():
                too_large = too_large_photo(job.photo(entry), size=photo.shape[:2], keys=SIZE_KEYS)
                with autocast(device, settings["precision"]), explain_out_of_memory(too_large):
                    x = normalise(photo).to(device)
                    boundary, displacement = boundary_and_displacement(model, x, canvas=settings["canvas"])
                arrays = pack_irnet_maps(boundary.cpu().numpy(), displacement.cpu().numpy())
            writer.add(
                entry.image_id, image_size(entry, photo), arrays, {"stride": 4, "axes": "(dy, dx), h, w"}
            )
