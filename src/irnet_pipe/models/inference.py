"""What trained segmenters find in a photo: one code for the stages infer_<segmenter> and for `irnet-pipe predict`.

A photo is given as the network is to see it (`seen`), and what is found has the size of the displayed photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.artifacts.masks import InstanceMasks
from irnet_pipe.data.mask_samples import scale_to
from irnet_pipe.data.photos import normalise, rescale, shrink
from irnet_pipe.models.deeplab import DeepLab, most_probable_class, multi_scale_probabilities
from irnet_pipe.models.mask_rcnn import Detections, MaskRcnn, pasted_mask
from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.device import autocast
from irnet_pipe.runtime.memory import explain_out_of_memory, too_large_photo

LIMITS = ("nms", "min_score", "detections")
"""Settings of which detections are kept."""
INSTANCE_SIZE_KEYS = "maskrcnn.infer.short_side or maskrcnn.infer.max_side"
SEMANTIC_SIZE_KEYS = "dataset.working_long_side or the largest of deeplab.infer.scales"
"""What decides how large an image the network sees."""
LEAST = 1e-6
"""Probability that the CRF takes for 0, whose logarithm it could not take."""


class InstanceInference:
    """Instances of photos by Mask R-CNN.

    Args:
        model: in evaluation mode.
        settings: of maskrcnn.infer.
        device: to compute on.

    Raises:
        InputError: the precision is not for the device.
    """

    def __init__(self, model: MaskRcnn, settings: Mapping[str, Any], *, device: torch.device) -> None:
        self.device, self.settings = device, settings
        self.precision = autocast(device, settings["precision"])
        self.model = model.limit(**{name: settings[name] for name in LIMITS}).to(device)

    def seen(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A photo (H, W, 3) at the size at which the network sees it."""
        return scale_to(photo, short_side=self.settings["short_side"], max_side=self.settings["max_side"])

    def find(self, seen: NDArray[np.uint8], *, size: tuple[int, int], path: Path) -> InstanceMasks:
        """Instances of a photo, best first; they may overlap, and each has a pixel at least.

        Args:
            seen: (h, w, 3), see `seen`.
            size: (H, W) of the displayed photo, and of the masks.
            path: of the photo, for messages.

        Raises:
            InputError: the device lacks the memory.
        """
        too_large = too_large_photo(path, size=seen.shape[:2], keys=INSTANCE_SIZE_KEYS)
        with self.precision, explain_out_of_memory(too_large):
            found = self.model.detect(torch.from_numpy(seen).permute(2, 0, 1).to(self.device))
        return _pasted(found, seen=seen.shape[:2], size=size)


class SemanticInference:
    """Class of each pixel of photos by DeepLabV3, at several scales and mirrored, with a CRF if asked for.

    Args:
        model: in evaluation mode.
        settings: of deeplab.infer.
        long_side: dataset.working_long_side.
        device: to compute on.

    Raises:
        InputError: the precision is not for the device.
    """

    def __init__(
        self, model: DeepLab, settings: Mapping[str, Any], *, long_side: int | None, device: torch.device
    ) -> None:
        self.device, self.settings, self.long_side = device, settings, long_side
        self.precision = autocast(device, settings["precision"])
        self.model = model.to(device)

    def seen(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A photo (H, W, 3) at the size of scale 1."""
        return shrink(photo, long_side=self.long_side)

    def find(self, seen: NDArray[np.uint8], *, size: tuple[int, int], path: Path) -> NDArray[np.uint8]:
        """Label map (H, W) of a photo: 0 background, class_id + 1.

        Args:
            seen: (h, w, 3), see `seen`.
            size: (H, W) of the displayed photo.
            path: of the photo, for messages.

        Raises:
            InputError: the device lacks the memory.
        """
        working = seen.shape[:2]
        too_large = too_large_photo(path, size=working, keys=SEMANTIC_SIZE_KEYS)
        with self.precision, explain_out_of_memory(too_large):
            scaled = [normalise(rescale(seen, scale)).to(self.device) for scale in self.settings["scales"]]
            probability = multi_scale_probabilities(self.model, scaled, size=working).cpu()
        refined = refine_probabilities(probability, seen, self.settings["crf"])
        return most_probable_class(refined, size=size).numpy()


def refine_probabilities(probability: Tensor, photo: NDArray[np.uint8], crf: Mapping[str, Any]) -> Tensor:
    """Probabilities (1 + c, h, w) of a photo (h, w, 3) after the CRF, where it takes any steps."""
    kernels = dict(crf)
    iterations = kernels.pop("iterations")
    if not iterations:
        return probability
    unary = -probability.clamp(min=LEAST).log()
    return DenseCRF(torch.from_numpy(photo), **kernels).infer_unary(unary, iterations=iterations)


def _pasted(found: Detections, *, seen: tuple[int, int], size: tuple[int, int]) -> InstanceMasks:
    """Masks of detections; one without a pixel is none. Pasted one by one: a stack could fill the memory."""
    runs, kept = [], []
    for index in range(len(found.score)):
        mask = pasted_mask(found, index, seen=seen, size=size).cpu().numpy()
        if mask.any():
            runs.append(encode_rle(mask))
            kept.append(index)
    class_id, score = found.class_id.cpu().numpy()[kept], found.score.cpu().numpy()[kept]
    return InstanceMasks(runs, class_id.astype(np.int32), score.astype(np.float32))
