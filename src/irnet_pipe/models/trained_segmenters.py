"""Trained segmenters from their weights files, ready for inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from irnet_pipe.artifacts.weights import load_weights, read_state_dict, read_weights
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.models.trained import CONVOLUTION_FORMAT

S = TypeVar("S", MaskRcnn, DeepLab)


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
