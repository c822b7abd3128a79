"""Residual networks (He et al. 2016), equal to torchvision's in names, initial weights for a seed, and results.

Torchvision's own would bring its detectors and, by these, torch's compiler into every job: to import them takes as long
as to import torch, and longer than many shards compute.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from irnet_pipe.models.batch_norm import GlobalBatchNorm2d

CLASSES = 1000
"""Of ImageNet."""


def _convolution(n_in: int, n_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016, fig. 5 left)."""

    expansion = 1

    def __init__(self, n_in: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = _convolution(n_in, width, 3, stride)
        self.bn1 = GlobalBatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = GlobalBatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, H, W) to (n, width, ⌈H/stride⌉, ⌈W/stride⌉)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut (fig. 5 right), with the stride in the second."""

    expansion = 4

    def __init__(self, n_in: int, width: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = _convolution(n_in, width, 1)
        self.bn1 = GlobalBatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = GlobalBatchNorm2d(width)
        self.conv3 = _convolution(width, width * self.expansion, 1)
        self.bn3 = GlobalBatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in, H, W) to (n, 4 · width, ⌈H/stride⌉, ⌈W/stride⌉)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out)
        return result


Block = type[BasicBlock] | type[Bottleneck]

ARCHITECTURES: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
"""Name → block, and how many of them each layer has."""


class ResNet(nn.Module):
    """A classifier for ImageNet (He et al. 2016, table 1).

    Args:
        name: one of `ARCHITECTURES`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        block, depths = ARCHITECTURES[name]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = GlobalBatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _layer(block, 64, 64, depth=depths[0], stride=1)
        self.layer2 = _layer(block, 64 * block.expansion, 128, depth=depths[1], stride=2)
        self.layer3 = _layer(block, 128 * block.expansion, 256, depth=depths[2], stride=2)
        self.layer4 = _layer(block, 256 * block.expansion, 512, depth=depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, 3, H, W) → logits (n, 1000)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def _layer(block: Block, n_in: int, width: int, *, depth: int, stride: int) -> nn.Sequential:
    n_out = width * block.expansion
    shortcut = None
    if stride != 1 or n_in != n_out:
        shortcut = nn.Sequential(_convolution(n_in, n_out, 1, stride), GlobalBatchNorm2d(n_out))
    blocks = [block(n_in, width, stride, shortcut)]
    blocks += [block(n_out, width) for _ in range(1, depth)]
    return nn.Sequential(*blocks)
