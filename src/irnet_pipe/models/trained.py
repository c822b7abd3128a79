"""Trained networks from their weights files, ready for inference."""

from __future__ import annotations

from pathlib import Path

from irnet_pipe.artifacts.weights import load_weights, read_weights
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet


def load_cam_net(path: Path) -> CamNet:
    """Classifier of a weights file, in evaluation mode."""
    weights = read_weights(path, kind="cam")
    model = CamNet(weights.header["backbone"], len(weights.state_dict["classifier.weight"]))
    load_weights(model, weights.state_dict, source=path)
    return model.eval()


def load_irnet(path: Path) -> IRNet:
    """IRNet of a weights file, in evaluation mode."""
    weights = read_weights(path, kind="irnet")
    model = IRNet(weights.header["backbone"])
    load_weights(model, weights.state_dict, source=path)
    return model.eval()
