"""What a run needs of disk and memory, estimated before it starts, and what the machine has."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import working_size
from irnet_pipe.index import Index
from irnet_pipe.runtime.device import autocast

GIB = 1 << 30
PROBE = 64
"""Side of the smaller image by which the memory of a training step is measured, pixels."""
INFERENCE_BYTES = 300
"""Of memory a pixel in the widest layers of a ResNet: input, middle, output of a block at stride 2 or 4."""
PAIR_BYTES = 24
"""Of memory a pair of related pixels: affinities, displacements and gradients."""
REGION_BYTES = 200 << 10
"""Of memory a region that Mask R-CNN learns on: 256 channels of 7×7, their gradient and copies."""
MASK_BYTES = 3 << 20
"""Of memory a region with a mask: 256 channels of 14×14 in five layers, of 28×28 in one."""
WEIGHTS_BYTES = 400 << 20
"""Of disk for both networks and two checkpoints of the larger; a third of a segmenter's, which is published too."""
THUMBNAIL_BYTES = 20_000
"""Of disk an image of the report's gallery."""
SCORE_BYTES = 0.3
"""Of disk a pixel of a class's probability after the CRF, which is 0 or 255 nearly everywhere."""


def training_bytes(model: nn.Module, *, batch: int, crop: int, precision: str) -> int:
    """Memory of a training step: weights, gradients, momentum, and what backward keeps of the forward pass.

    Args:
        model: in training mode, on the CPU.
        batch: images per step.
        crop: side of the crops, pixels.
        precision: fp32, bf16 or fp16.
    """
    small, large = (_kept_bytes(model, side, precision=precision) for side in (PROBE, 2 * PROBE))
    # What does not grow with the image is copies of the weights.
    activations = (large - small) / (3 * PROBE**2)
    state = 4 * sum(parameter.nbytes for parameter in model.parameters())
    return state + round(batch * crop**2 * (activations + INFERENCE_BYTES))


def _kept_bytes(model: nn.Module, side: int, *, precision: str) -> int:
    """Bytes that backward would need of the forward pass on one square image."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    # The CPU has no fp16; bf16 takes the same room.
    with hooks, autocast(torch.device("cpu"), "fp32" if precision == "fp32" else "bf16"):
        model(torch.zeros(1, 3, side, side))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def region_bytes(*, batch: int, regions: int) -> int:
    """Memory of the heads of Mask R-CNN, for which a quarter of the regions has a mask."""
    return batch * (regions * REGION_BYTES + regions // 4 * MASK_BYTES)


def relation_bytes(*, batch: int, crop: int, radius: int, stride: int = 4) -> int:
    """Memory of the losses over pairs of pixels nearer than `radius` at a stride."""
    offsets = round(math.pi * radius**2 / 2)
    return offsets * batch * (crop // stride) ** 2 * PAIR_BYTES


def inference_bytes(config: Config, entries: Iterable[ImageEntry]) -> int:
    """Memory of the networks on the largest photo: a photo and its mirror, at the largest scale."""
    bound = config.dataset.working_long_side
    sizes = [working_size(entry.height, entry.width, long_side=bound) for entry in entries]
    scale = max(1.0, *config.cam.infer.scales)
    cam = max(height * width for height, width in sizes) * scale**2
    irnet = max(config.irnet.infer.canvas, *(max(size) for size in sizes)) ** 2
    return round(2 * max(cam, irnet) * INFERENCE_BYTES)


def disk_bytes(config: Config, index: Index) -> int:
    """Room that the artifacts take, compression left out but for label maps."""
    bound = config.dataset.working_long_side
    scales = sum(scale**2 for scale in config.cam.infer.scales)
    affinitynet = "affinitynet" in config.mask_sources
    total = WEIGHTS_BYTES * (1 + affinitynet + 3 * len(config.segmenters))
    for entry in {*index.train, *index.label}:
        height, width = working_size(entry.height, entry.width, long_side=bound)
        n_classes = 1 if entry.labels is None else len(entry.labels)
        cam = 2 * n_classes * scales / 256
        maps = 2 * (3 + 1 + 3 * n_classes) / 16
        label_map = 0.05
        affinities = affinitynet * (1 + n_classes) * (2 * SCORE_BYTES + 2 / 64)
        total += round(height * width * (cam + maps + label_map + affinities)) + 20_000
    shown = len(index.label) if config.report.gallery == "all" else config.report.images
    return total + shown * THUMBNAIL_BYTES


def disk_free(folder: Path) -> int:
    """Free bytes on the disk that holds a folder, which need not exist yet."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


def memory_total(device: torch.device) -> int:
    """Memory of a device, bytes."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
