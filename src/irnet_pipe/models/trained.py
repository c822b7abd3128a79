"""Trained networks from their weights files, ready for inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from irnet_pipe.artifacts.weights import load_weights, read_state_dict, read_weights
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.models.mask_rcnn import MaskRcnn

S = TypeVar("S", MaskRcnn, DeepLab)
CONVOLUTION_FORMAT = torch.channels_last
"""Convolutions whose channels lie side by side need no copies between layouts."""


def load_cam_net(path: Path) -> CamNet:
    """Classifier of a weights file, in evaluation mode."""
    weights = read_weights(path, kind="cam")
    model = CamNet(weights.header["backbone"], len(weights.state_dict["classifier.weight"]))
    load_weights(model, weights.state_dict, source=path)
    return model.to(memory_format=CONVOLUTION_FORMAT).eval()


def load_irnet(path: Path) -> IRNet:
    """IRNet of a weights file, in evaluation mode."""
    weights = read_weights(path, kind="irnet")
    model = IRNet(weights.header["backbone"])
    load_weights(model, weights.state_dict, source=path)
    return model.to(memory_format=CONVOLUTION_FORMAT).eval()


def load_affinitynet(path: Path) -> AffinityNet:
    """AffinityNet of a weights file, in evaluation mode."""
    weights = read_weights(path, kind="affinitynet")
    model = AffinityNet(weights.header["backbone"])
    load_weights(model, weights.state_dict, source=path)
    return model.to(memory_format=CONVOLUTION_FORMAT).eval()


def load_mask_rcnn(path: Path) -> MaskRcnn:
    """Mask R-CNN of a weights file, in evaluation mode."""
    return _segmenter_of_weights(path, MaskRcnn, kind="maskrcnn")


def load_deeplab(path: Path) -> DeepLab:
    """DeepLabV3 of a weights file, in evaluation mode."""
    return _segmenter_of_weights(path, DeepLab, kind="deeplab")


def _segmenter_of_weights(path: Path, build: type[S], *, kind: str) -> S:
    weights = read_weights(path, kind=kind)
    model = build(weights.header["backbone"], len(weights.header["classes"]))
    return _ready(model, weights.state_dict, source=path)


def load_published(path: Path, build: type[S], *, backbone: str, n_classes: int) -> S:
    """A segmenter from a plain state dict, as a run publishes it, in evaluation mode.

    Args:
        path: of the state dict.
        build: its class.
        backbone: name of its backbone.
        n_classes: without background.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    return _ready(build(backbone, n_classes), read_state_dict(path), source=path)


def _ready(model: S, state_dict: Mapping[str, Tensor], *, source: Path) -> S:
    load_weights(model.network, state_dict, source=source)
    return model.to(memory_format=CONVOLUTION_FORMAT).eval()
