"""infer_maskrcnn: instances of each photo by the trained Mask R-CNN.

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and instance_score,
best first. Instances may overlap; there are no semantic masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.data.mask_samples import scale_to
from irnet_pipe.data.photos import load_photo
from irnet_pipe.models.mask_rcnn import Detections, pasted_mask
from irnet_pipe.models.trained import load_mask_rcnn
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import explain_out_of_memory, too_large_photo

SIZE_KEYS = "maskrcnn.infer.short_side or maskrcnn.infer.max_side"
"""What decides how large an image the network sees."""


def run(job: Job) -> None:
    """Write the instances of a shard."""
    torch.set_num_threads(1)
    device, settings = use_device(job.device), job.setting("maskrcnn.infer")
    limits = {name: settings[name] for name in ("nms", "min_score", "detections")}
    model = load_mask_rcnn(job.parent("train_maskrcnn")).limit(**limits).to(device)
    with write_artifact(job.output, job.record) as writer:
        for entry in job.progress(job.images):
            photo = scale_to(
                load_photo(job.photo(entry), long_side=None),
                short_side=settings["short_side"],
                max_side=settings["max_side"],
            )
            seen = photo.shape[:2]
            too_large = too_large_photo(job.photo(entry), size=seen, keys=SIZE_KEYS)
            with autocast(device, settings["precision"]), explain_out_of_memory(too_large):
                found = model.detect(torch.from_numpy(photo).permute(2, 0, 1).to(device))
            size = ImageSize(entry.height, entry.width, *seen)
            writer.add(entry.image_id, size, _arrays(found, size))


def _arrays(found: Detections, size: ImageSize) -> dict[str, NDArray[Any]]:
    """Arrays of an image; a detection without a pixel is none. Pasted one by one: a stack could fill the memory."""
    runs, kept = [], []
    for index in range(len(found.score)):
        mask = pasted_mask(found, index, seen=size.working, size=size.full).cpu().numpy()
        if mask.any():
            runs.append(encode_rle(mask))
            kept.append(index)
    return pack_instances(
        runs, np.asarray(found.class_id.cpu())[kept].tolist(), np.asarray(found.score.cpu())[kept].tolist()
    )
