"""A backbone for inference on a CPU, in which hardly anything but convolutions reads or writes feature maps.

BatchNorm is folded into the weights, and a convolution adds the shortcut and cuts off at 0 while it writes. oneDNN does
so by operators that torch keeps for its compiler; where a build of torch lacks them, nothing is fused.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.models.resnet import BasicBlock, Bottleneck
from irnet_pipe.runtime.device import AUTOCAST_TYPES

Network = TypeVar("Network", CamNet, IRNet, AffinityNet)


class FusedConvolution(nn.Module):
    """A convolution and the BatchNorm after it, in evaluation mode.

    Args:
        convolution: without bias.
        norm: with running statistics.
        dtype: of weights and maps.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = (convolution.weight * scale[:, None, None, None]).detach()
        self.register_buffer("weight", weight.to(dtype, memory_format=torch.channels_last))
        self.register_buffer("bias", (norm.bias - norm.running_mean * scale).detach().to(dtype))
        self.place = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)

    def forward(self, x: Tensor, *, relu: bool = True) -> Tensor:
        """Convolve (n, n_in, H, W), and cut off at 0."""
        convolve, activation = torch.ops.mkldnn._convolution_pointwise, "relu" if relu else "none"
        x = x.to(self.weight.dtype)
        result: Tensor = convolve(x, self.weight, self.bias, *self.place, activation, [], "")
        return result

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """Convolve, add maps of the size of the result, and cut off at 0."""
        convolve = torch.ops.mkldnn._convolution_pointwise.binary
        result: Tensor = convolve(x, other, self.weight, self.bias, *self.place, "add", 1.0, "relu", [], "")
        return result


class FusedBlock(nn.Module):
    """A residual block of fused convolutions."""

    def __init__(self, block: BasicBlock | Bottleneck, dtype: torch.dtype) -> None:
        super().__init__()
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if isinstance(block, Bottleneck):
            pairs.append((block.conv3, block.bn3))
        *first, last = (FusedConvolution(*pair, dtype) for pair in pairs)
        self.first, self.last = nn.Sequential(*first), last
        self.downsample = None
        if block.downsample is not None:
            convolution, norm = block.downsample.children()
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            self.downsample = FusedConvolution(convolution, norm, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """What the block maps x to."""
        shortcut = x if self.downsample is None else self.downsample(x, relu=False)
        return self.last.add(self.first(x), shortcut)


def for_inference(model: Network, device: torch.device, precision: str) -> Network:
    """The network on its device; on a CPU its backbone is fused, in place, and can be trained no more.

    Args:
        model: in evaluation mode.
        device: to compute on.
        precision: fp32, bf16 or fp16, see `autocast`.

    Returns:
        The model. Its maps differ from those of the network as it was by roundings.
    """
    if device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return model.to(device)
    dtype, backbone = AUTOCAST_TYPES[precision] or torch.float32, model.backbone
    backbone.add_module("conv1", FusedConvolution(backbone.conv1, backbone.bn1, dtype))
    backbone.add_module("bn1", nn.Identity())
    backbone.add_module("relu", nn.Identity())
    for layer in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
        for place, block in enumerate(layer):
            assert isinstance(block, BasicBlock | Bottleneck)
            layer[place] = FusedBlock(block, dtype)
    return model
