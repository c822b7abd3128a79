"""The tiny run with the variant affinitynet."""

from __future__ import annotations

from typing import Any

from first_stages import changed

AFFINITYNET: dict[str, Any] = {
    "backbone": "resnet18",
    "weights": "cam",
    "radius": 3,
    "train": {
        "epochs": 2,
        "batch": 2,
        "crop": 48,
        "optimizer": "adamw",
        "lr": 1e-3,
        "lr_head": 1e-2,
        "precision": "fp32",
        "threads": 1,
    },
    "infer": {"precision": "fp32"},
}


def with_affinitynet(values: dict[str, Any], **paths: object) -> dict[str, Any]:
    """The tiny config with the variant, and dotted paths set."""
    return changed(values, affinitynet=AFFINITYNET, export__variants=["affinitynet"], **paths)
