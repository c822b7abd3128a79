"""Trained networks that labels are made with, from their weights files, ready for inference."""

from __future__ import annotations

from pathlib import Path

import torch

from irnet_pipe.artifacts.weights import load_weights, read_weights
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet

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
