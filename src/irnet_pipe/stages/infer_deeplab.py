"""infer_deeplab: class of each pixel by the trained DeepLabV3, at several scales and mirrored, with a CRF if asked for.

Stored per image, at the size of the displayed photo: semantic runs (COCO RLE) with class_id, of the classes that are
seen. There are no instances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import write_artifact
from irnet_pipe.models.inference import SemanticInference
from irnet_pipe.models.trained_segmenters import load_deeplab
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.device import use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.photos import image_size, open_photo


def run(job: Job) -> None:
    """Write the semantic masks of a shard."""
    torch.set_num_threads(1)
    inference = SemanticInference(
        load_deeplab(job.parent("train_deeplab")),
        job.setting("deeplab.infer"),
        long_side=job.setting("dataset.working_long_side"),
        device=use_device(job.device),
    )
    with write_artifact(job.output, job.record) as writer:
        for entry in job.progress(job.images):
            photo = open_photo(job, entry)
            label = inference.find(photo, size=(entry.height, entry.width), path=job.photo(entry))
            writer.add(entry.image_id, image_size(entry, photo), _arrays(label))


def _arrays(label: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    seen = [int(number) for number in np.unique(label) if number]
    runs = pack_runs("semantic", [encode_rle(label == number) for number in seen])
    return {"class_id": np.array(seen, dtype=np.int32) - 1} | runs
