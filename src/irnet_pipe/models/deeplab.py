"""DeepLabV3 (Chen et al. 2017), of torchvision, on any of our backbones at stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

from irnet_pipe.models.batch_norm import GlobalBatchNorm2d, with_global_statistics
from irnet_pipe.models.segmenter import Segmenter, bare_resnet
from irnet_pipe.runtime.memory import halving

DILATIONS = {"layer3": (1, 2), "layer4": (2, 4)}
"""Layer → dilation of its convolutions up to the one whose stride is replaced, and of those after it."""


class DeepLab(Segmenter):
    """DeepLabV3; `network` is what torchvision's `deeplabv3_resnet50` builds, on any of our backbones.

    Args:
        backbone: name of the backbone.
        n_classes: without background.
        freeze: see `Segmenter`.
        batch_norm: see `Segmenter`; the head gathers statistics in any case.
    """

    def __init__(
        self, backbone: str, n_classes: int, *, freeze: str = "layer1", batch_norm: str = "running"
    ) -> None:
        resnet: Any = dilated_resnet(backbone)
        body = IntermediateLayerGetter(resnet, {"layer4": "out"})
        head = with_global_statistics(DeepLabHead(resnet.fc.in_features, 1 + n_classes))
        super().__init__(DeepLabV3(body, head), body, freeze=freeze, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised photos (n, 3, H, W) to logits (n, 1 + c, H, W); background is 0."""
        logits: Tensor = self.network(x)["out"]
        return logits


def dilated_resnet(name: str) -> nn.Module:
    """A ResNet whose last two layers are dilated in place of their strides.

    torchvision does so with bottleneck blocks alone. Of basic blocks, too, every weight meets the pixels that it meets
    in the network with strides.
    """
    resnet: Any = bare_resnet(name)
    if not isinstance(resnet.layer1[0], BasicBlock):
        dilated: nn.Module = torchvision.models.get_model(
            name,
            weights=None,
            norm_layer=GlobalBatchNorm2d,
            replace_stride_with_dilation=[False, True, True],
        )
        return dilated
    for layer, (before, after) in DILATIONS.items():
        blocks = getattr(resnet, layer)
        convolutions = [conv for block in blocks for conv in (block.conv1, block.conv2)]
        for index, conv in enumerate(convolutions):
            dilation = after if index else before
            conv.stride, conv.dilation, conv.padding = (1, 1), (dilation,) * 2, (dilation,) * 2
        blocks[0].downsample[0].stride = (1, 1)
    return resnet  # type: ignore[no-any-return]


@torch.no_grad()
def multi_scale_probabilities(
    model: DeepLab, scaled_photos: Sequence[Tensor], *, size: tuple[int, int]
) -> Tensor:
    """Class probabilities of a photo: the mean over its scales and their mirrors.

    Args:
        model: in evaluation mode.
        scaled_photos: one (3, h_s, w_s) per scale, normalised.
        size: (h, w) at which they are averaged.

    Returns:
        (1 + c, h, w) float32, summing to 1 at each pixel.
    """
    total: Tensor | None = None
    for photo in scaled_photos:
        pair = torch.stack([photo, photo.flip(-1)])
        (logits,) = halving(pair, lambda photos: (model(photos),))
        probability = logits.float().softmax(dim=1)
        merged = (probability[0] + probability[1].flip(-1)) / 2
        resized = F.interpolate(merged[None], size=size, mode="bilinear", align_corners=False)[0]
        total = resized if total is None else total + resized
    if total is None:
        raise ValueError("no scale")
    return total / len(scaled_photos)


def most_probable_class(probability: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Label map (H, W) uint8 of probabilities (1 + c, h, w), up-sampled bilinearly one class at a time."""
    best = torch.full(size, -1.0)
    label = torch.zeros(size, dtype=torch.uint8)
    for number, map_ in enumerate(probability):
        score = F.interpolate(map_[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
        label[score > best] = number
        best = torch.maximum(best, score)
    return label
