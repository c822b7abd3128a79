"""Memory that a training needs, estimated before it starts, and that a device has."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from irnet_pipe.resources import INFERENCE_BYTES, host_memory
from irnet_pipe.runtime.device import autocast

PROBE = 64
"""Side of the smaller image by which the memory of a training step is measured, pixels."""
PAIR_BYTES = 24
"""Of memory a pair of related pixels: affinities, displacements and gradients."""
REGION_BYTES = 200 << 10
"""Of memory a region that Mask R-CNN learns on: 256 channels of 7×7, their gradient and copies."""
MASK_BYTES = 3 << 20
"""Of memory a region with a mask: 256 channels of 14×14 in five layers, of 28×28 in one."""


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


def memory_total(device: torch.device) -> int:
    """Memory of a device, bytes."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return host_memory()
