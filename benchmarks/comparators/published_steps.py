"""Steps of both trainings as published: all of the backbone with gradient, cut off after it was computed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.comparators.pair_gather import relation_losses
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet


def cam_loss(model: CamNet, photo: Tensor, target: Tensor) -> Tensor:
    """Loss of the classifier; the graph is cut after layer2."""
    stem, layer1, layer2, layer3, layer4 = _stages(model.backbone)
    features = layer4(layer3(layer2(layer1(stem(photo))).detach()))
    logits = model.classifier(features.mean((2, 3), keepdim=True)).flatten(1)
    return F.multilabel_soft_margin_loss(logits, target)


def irnet_loss(model: IRNet, photo: Tensor, label: Tensor, *, radius: int) -> Tensor:
    """Loss of IRNet; the graph is cut after each stage of the backbone."""
    features, x = [], photo
    for stage in _stages(model.backbone):
        x = stage(x).detach()
        features.append(x)
    logit, displacement = model.boundary(features), model.displacement(features)
    with torch.autocast("cpu", enabled=False):
        return relation_losses(logit.float(), displacement.float(), label, radius=radius)


def _stages(backbone: nn.Module) -> list[nn.Module]:
    stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)
    return [stem, backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
