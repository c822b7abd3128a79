"""The ResNet backbone at output stride 16 or 8, and where its pretrained weights come from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from irnet_pipe.artifacts.weights import check_finite, first_mismatch, read_state_dict
from irnet_pipe.errors import InputError
from irnet_pipe.models.resnet import ARCHITECTURES, ResNet

BACKBONES = tuple(ARCHITECTURES)
FROZEN_STAGES = {"none": 0, "stem": 1, "layer1": 2, "layer2": 3}
"""Value of `<section>.train.freeze` → how many of the five stages of a backbone never change."""


class Backbone(nn.Module):
    """A ResNet with stride 1 and no dilation in layer4 (Ahn et al. 2019, sec. 6.1).

    Its parameters have torchvision's names, so a state dict of torchvision fits as it is.

    Args:
        name: one of `BACKBONES`.
        frozen_stages: how many of the five stages (stem, layer1 … layer4) never change: they have no
            gradient, build no graph, and keep their running statistics.
        batch_norm: 'running' normalises with the stored statistics in training as well; 'batch' gathers
            statistics of the global batch in training (stages that are not frozen) and uses the gathered ones
            in evaluation.
        stride: of the last two feature maps: 16, or 8 with dilation in place of the stride of layer3. Every weight
            meets the pixels that it meets at 16.

    Attributes:
        channels: of the five feature maps.
    """

    def __init__(
        self, name: str, *, frozen_stages: int = 0, batch_norm: str = "running", stride: int = 16
    ) -> None:
        super().__init__()
        resnet = ResNet(name)
        self.conv1 = resnet.conv1
        self.bn1 = resnet.bn1
        self.relu = resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1 = resnet.layer1
        self.layer2 = resnet.layer2
        self.layer3 = resnet.layer3
        self.layer4 = resnet.layer4
        for module in self.layer4.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
        if stride == 8:
            self._dilate()

        expansion = resnet.fc.in_features // 512
        self.name = name
        self.channels = (64, *(width * expansion for width in (64, 128, 256, 512)))
        self.frozen_stages = frozen_stages
        self.gathers_statistics = batch_norm == "batch"
        for stage in self._stages()[:frozen_stages]:
            stage.requires_grad_(False)
        self.train(self.training)

    def _dilate(self) -> None:
        """Keep stride 8 in layer3 and layer4; by hand, as torchvision does so with bottleneck blocks alone."""
        convolutions = [
            module
            for layer in (self.layer3, self.layer4)
            for module in layer.modules()
            if isinstance(module, nn.Conv2d)
        ]
        for convolution in convolutions:
            convolution.stride = (1, 1)
        # the first one had the stride itself: what it reads lies as it did
        for convolution in [each for each in convolutions if each.kernel_size == (3, 3)][1:]:
            convolution.dilation = convolution.padding = (2, 2)

    def _stages(self) -> list[nn.Module]:
        stem = nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool)
        return [stem, self.layer1, self.layer2, self.layer3, self.layer4]

    def train(self, mode: bool = True) -> "Backbone":
        """Set training mode; BatchNorm follows only where statistics are gathered."""
        super().train(mode)
        for index, stage in enumerate(self._stages()):
            stage.train(mode and self.gathers_statistics and index >= self.frozen_stages)
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the five feature maps.

        Args:
            x: (n, 3, H, W), normalised by ImageNet's mean and deviation.

        Returns:
            Maps (n, channels[i], ⌈H/s⌉, ⌈W/s⌉) at strides s = 4, 4, 8, 16, 16; or 4, 4, 8, 8, 8.
        """
        features = []
        for index, stage in enumerate(self._stages()):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= self.frozen_stages):
                x = stage(x)
            features.append(x)
        return features


def pretrained_state(backbone: str, weights: str) -> dict[str, Tensor] | None:
    """Read the weights that a backbone starts from, checked against its architecture.

    Args:
        backbone: one of `BACKBONES`.
        weights: a weights name of torchvision (such as IMAGENET1K_V1 or DEFAULT; downloaded once into
            torch's cache), the path of a state dict in torchvision's layout (with or without `fc`, in any
            floating type), or 'none'.

    Returns:
        A state dict in float32 for `Backbone.load_state_dict`; None for 'none'.

    Raises:
        InputError: no such name or file, no network, or a state dict of another architecture or with NaN.
    """
    if weights == "none":
        return None
    state = read_state_dict(Path(weights)) if Path(weights).is_file() else _download(backbone, weights)
    state = {key: _as_float32(value) for key, value in state.items() if not key.startswith("fc.")}
    _check_architecture(state, backbone=backbone, source=weights)
    check_finite(state, source=Path(weights))
    return state


def _as_float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _download(backbone: str, weights: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights  # here, as most stages do without torchvision

    names = get_model_weights(backbone).__members__
    if weights not in names:
        raise InputError(
            f"{weights}: neither a file nor weights of torchvision for {backbone} ({', '.join(names)}); "
            "give one of these names, the path of a state dict, or none"
        )
    entry = names[weights]
    try:
        state: dict[str, Tensor] = entry.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{entry.name}: cannot download {entry.url} ({error}); fetch this file on a machine with network "
            "and give its path in place of the name"
        ) from error
    return state


def _check_architecture(state: Mapping[str, Tensor], *, backbone: str, source: str) -> None:
    mismatch = first_mismatch(_empty_state(backbone), state)
    if mismatch is None:
        return
    fitting = [name for name in BACKBONES if first_mismatch(_empty_state(name), state) is None]
    remedy = f"set the backbone to {fitting[0]}" if fitting else "give a state dict of torchvision's ResNet"
    raise InputError(f"{source}: not weights of {backbone}: {mismatch}; {remedy}, or give another file")


def _empty_state(backbone: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return Backbone(backbone).state_dict()
