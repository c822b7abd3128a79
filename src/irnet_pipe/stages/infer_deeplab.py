"""infer_deeplab: class of each pixel by the trained DeepLabV3, at several scales and mirrored, with a CRF if asked for.

Stored per image, at the size of the displayed photo: semantic runs (COCO RLE) with class_id, of the classes that are
seen. There are no instances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import write_artifact
from irnet_pipe.data.photos import normalise, rescale
from irnet_pipe.models.deeplab import most_probable_class, multi_scale_probabilities
from irnet_pipe.models.trained import load_deeplab
from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import explain_out_of_memory, too_large_photo
from irnet_pipe.runtime.photos import image_size, open_photo

SIZE_KEYS = "dataset.working_long_side or the largest of deeplab.infer.scales"
"""What decides how large an image the network sees."""
LEAST = 1e-6
"""Probability that the CRF takes for 0, whose logarithm it could not take."""


def run(job: Job) -> None:
    """Write the semantic masks of a shard."""
    torch.set_num_threads(1)
    device, settings = use_device(job.device), job.setting("deeplab.infer")
    model = load_deeplab(job.parent("train_deeplab")).to(device)
    with write_artifact(job.output, job.record) as writer:
        for entry in job.progress(job.images):
            photo = open_photo(job, entry)
            working = (photo.shape[0], photo.shape[1])
            too_large = too_large_photo(job.photo(entry), size=working, keys=SIZE_KEYS)
            with autocast(device, settings["precision"]), explain_out_of_memory(too_large):
                scaled = [normalise(rescale(photo, scale)).to(device) for scale in settings["scales"]]
                probability = multi_scale_probabilities(model, scaled, size=working).cpu()
            probability = _refined(probability, photo, settings["crf"])
            label = most_probable_class(probability, size=(entry.height, entry.width))
            writer.add(entry.image_id, image_size(entry, photo), _arrays(label.numpy()))


def _refined(probability: Tensor, photo: NDArray[np.uint8], crf: dict[str, Any]) -> Tensor:
    """Probabilities after the CRF, where it takes any steps."""
    kernels = dict(crf)
    iterations = kernels.pop("iterations")
    if not iterations:
        return probability
    unary = -probability.clamp(min=LEAST).log()
    return DenseCRF(torch.from_numpy(photo), **kernels).infer_unary(unary, iterations=iterations)


def _arrays(label: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    seen = [int(number) for number in np.unique(label) if number]
    runs = pack_runs("semantic", [encode_rle(label == number) for number in seen])
    return {"class_id": np.array(seen, dtype=np.int32) - 1} | runs
