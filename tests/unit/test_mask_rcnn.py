"""Mask R-CNN as a network."""

import torch
from torch import nn

from irnet_pipe.models.mask_rcnn import MaskRcnn


def anchors_of(model: MaskRcnn, photo: torch.Tensor, precision: torch.dtype | None) -> torch.Tensor:
    """Anchors (n, 4) that the network proposes from in one photo."""
    seen: list[torch.Tensor] = []
    generator: nn.Module = model.network.rpn.anchor_generator
    handle = generator.register_forward_hook(lambda module, given, anchors: seen.extend(anchors))
    with torch.autocast("cpu", precision, enabled=precision is not None):
        model.detect(photo)
    handle.remove()
    (anchors,) = seen
    return anchors


def test_anchors_are_exact_in_bf16(rng):
    """Near x = 500, bf16 knows but every fourth pixel."""
    photo = torch.from_numpy(rng.random((3, 32, 544), dtype="float32"))
    model = MaskRcnn("resnet18", 2).eval()
    exact = anchors_of(model, photo, None)
    assert exact.dtype == torch.float32 and exact.amax() > 512
    assert torch.equal(anchors_of(model, photo, torch.bfloat16), exact)
