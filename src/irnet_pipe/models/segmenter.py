"""What the segmenters have in common: a network of torchvision around a ResNet that may be frozen in part."""

from __future__ import annotations

from collections.abc import Iterator

import torchvision
from torch import nn

from irnet_pipe.models.backbone import FROZEN_STAGES
from irnet_pipe.models.batch_norm import GlobalBatchNorm2d


def bare_resnet(name: str) -> nn.Module:
    """A ResNet of torchvision without weights, whose statistics in training are those of all ranks."""
    resnet: nn.Module = torchvision.models.get_model(name, weights=None, norm_layer=GlobalBatchNorm2d)
    return resnet


class Segmenter(nn.Module):
    """A network of torchvision, with the rule of what of its backbone changes in training.

    Args:
        network: its state dict is what torchvision's own builder makes and takes.
        body: the ResNet within it.
        freeze: one of `FROZEN_STAGES`; frozen stages have no gradient, build no graph, and keep their statistics.
        batch_norm: of the backbone, 'running' or 'batch', see `Backbone`.
    """

    def __init__(self, network: nn.Module, body: nn.Module, *, freeze: str, batch_norm: str) -> None:
        super().__init__()
        self.network = network
        self._body = [body]  # in a list: registered once, as part of the network
        self.frozen_stages = FROZEN_STAGES[freeze]
        self.gathers_statistics = batch_norm == "batch"
        for index, module in self._stages():
            module.requires_grad_(index >= self.frozen_stages)
        self.train(self.training)

    @property
    def body(self) -> nn.Module:
        """The ResNet: its parameters have torchvision's names."""
        return self._body[0]

    def _stages(self) -> Iterator[tuple[int, nn.Module]]:
        """Modules of the backbone with the number of their stage: the stem is 0, layer1 1, …."""
        for name, module in self.body.named_children():
            yield (int(name.removeprefix("layer")) if name.startswith("layer") else 0), module

    def train(self, mode: bool = True) -> Segmenter:
        """Set training mode; BatchNorm of the backbone follows only where statistics are gathered."""
        super().train(mode)
        for index, module in self._stages():
            module.train(mode and self.gathers_statistics and index >= self.frozen_stages)
        return self

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the group that has a learning rate of its own."""
        body = [p for p in self.body.parameters() if p.requires_grad]
        of_body = {id(p) for p in self.body.parameters()}
        return {"backbone": body, "head": [p for p in self.network.parameters() if id(p) not in of_body]}
