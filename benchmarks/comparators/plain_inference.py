"""Networks in plain loops over photos: what stages are held against."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor

from irnet_pipe.data.photos import load_photo, normalise, rescale
from irnet_pipe.models.fused import for_inference
from irnet_pipe.models.irnet import boundary_and_displacement
from irnet_pipe.models.trained import load_cam_net, load_irnet
from irnet_pipe.runtime.device import autocast
from irnet_pipe.runtime.job import Job


@torch.inference_mode()
def class_maps(job: Job, *, precision: str | None = None) -> dict[str, list[Tensor]]:
    """image_id → raw maps of each scale; photo by photo, scale by scale, the mirror as a batch of two.

    Computed in a precision, which is that of the job if None.
    """
    model = load_cam_net(job.parent("train_cam"))
    settings, found = job.setting("cam.infer"), {}
    precision = precision or settings["precision"]
    for entry in job.images:
        photo = load_photo(job.photo(entry), long_side=job.setting("dataset.working_long_side"))
        found[entry.image_id] = []
        for scale in settings["scales"]:
            x = normalise(rescale(photo, scale))
            with autocast(torch.device("cpu"), precision):
                maps = model.class_maps(torch.stack([x, x.flip(-1)]))[:, list(entry.labels)].float()
            found[entry.image_id].append(maps[0] + maps[1].flip(-1))
    return found


def decoded_photos(job: Job) -> list[Tensor]:
    """Photos of a job as the network takes them."""
    long_side = job.setting("dataset.working_long_side")
    return [normalise(load_photo(job.photo(entry), long_side=long_side)) for entry in job.images]


@torch.inference_mode()
def bare_irnet(job: Job, decoded: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Boundary map and displacement field of photos that were decoded before."""
    settings, cpu = job.setting("irnet.infer"), torch.device("cpu")
    model = for_inference(load_irnet(job.parent("train_irnet")), cpu, settings["precision"])
    with autocast(cpu, settings["precision"]):
        return [boundary_and_displacement(model, photo, canvas=settings["canvas"]) for photo in decoded]


def import_torch() -> None:
    """A process that imports torch and ends."""
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
