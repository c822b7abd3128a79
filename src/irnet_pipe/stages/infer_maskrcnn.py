"""infer_maskrcnn: instances of each photo by the trained Mask R-CNN.

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and instance_score,
best first. Instances may overlap; there are no semantic masks.
"""

from __future__ import annotations

import torch

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.data.photos import load_photo
from irnet_pipe.models.inference import InstanceInference
from irnet_pipe.models.trained_segmenters import load_mask_rcnn
from irnet_pipe.runtime.device import use_device
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the instances of a shard."""
    torch.set_num_threads(1)
    model = load_mask_rcnn(job.parent("train_maskrcnn"))
    inference = InstanceInference(model, job.setting("maskrcnn.infer"), device=use_device(job.device))
    with write_artifact(job.output, job.record) as writer:
        for entry in job.progress(job.images):
            size, path = (entry.height, entry.width), job.photo(entry)
            seen = inference.seen(load_photo(path))
            found = inference.find(seen, size=size, path=path)
            arrays = pack_instances(found.runs, found.class_id.tolist(), found.score.tolist())
            writer.add(entry.image_id, ImageSize(*size, *seen.shape[:2]), arrays)
