"""Trained segmenters as plain state dicts, which torchvision's own builders load without irnet_pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.artifacts.weights import read_weights, save_tensors
from irnet_pipe.text_files import replace_text

BUILDERS = {
    "maskrcnn": {"resnet50": "torchvision.models.detection.maskrcnn_resnet50_fpn"},
    "deeplab": {
        "resnet50": "torchvision.models.segmentation.deeplabv3_resnet50",
        "resnet101": "torchvision.models.segmentation.deeplabv3_resnet101",
    },
}
"""What builds the network on a backbone, where torchvision has it."""


def export_weights(source: Path, folder: Path, *, kind: str, inference: Mapping[str, Any]) -> None:
    """Write <kind>.pth, a state dict and nothing else, and <kind>.json, which says what it is.

    Args:
        source: weights file of a segmenter.
        folder: where they go.
        kind: of the weights.
        inference: config path → value of what the run infers with.

    Raises:
        ArtifactError: the weights file is missing or damaged.
    """
    weights = read_weights(source, kind=kind)
    header = weights.header
    with atomic_path(folder / f"{kind}.pth") as temporary:
        save_tensors(weights.state_dict, temporary)
    facts = {
        "kind": kind,
        "builder": BUILDERS[kind].get(header["backbone"]),
        "backbone": header["backbone"],
        "num_classes": 1 + len(header["classes"]),
        "classes": ["background", *header["classes"]],
        "learnt_from": header["learnt-from"],
        "recipe": header["recipe"],
        "inference": inference,
    }
    replace_text(folder / f"{kind}.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
