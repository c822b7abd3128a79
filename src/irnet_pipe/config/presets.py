"""Schedules of the paper, and short ones, as presets: values for the keys that a config does not set itself."""

from typing import Any, Literal

PresetName = Literal["paper_default", "paper_log", "small"]

_PAPER: dict[str, Any] = {
    "dataset": {"working_long_side": None, "negatives": "use"},
    "cam": {
        "backbone": "resnet50",
        "train": {"epochs": 5, "batch": 16, "crop": 512, "long_side": [320, 640], "precision": "fp32"},
        "infer": {"scales": [1.0, 0.5, 1.5, 2.0], "precision": "fp32"},
    },
    "irnet": {
        "backbone": "resnet50",
        "train": {"crop": 512, "scale": [0.5, 1.5], "precision": "fp32"},
        "infer": {"canvas": 512, "precision": "fp32"},
    },
    "affinitynet": {
        "backbone": "resnet50",
        "train": {
            "epochs": 8,
            "batch": 8,
            "crop": 448,
            "lr": 0.1,
            "lr_head": 1.0,
            "momentum": 5e-4,
            "weight_decay": 5e-4,
            "schedule": "polynomial",
            "colour_jitter": [0.3, 0.3, 0.3, 0.1],
            "precision": "fp32",
        },
        "infer": {"precision": "fp32"},
    },
    "maskrcnn": {
        "backbone": "resnet50",
        "train": {
            "iterations": 18_000,
            "batch": 4,
            "lr": 0.01,
            "schedule": "steps",
            "milestones": [12_000, 16_000],
            "short_side": [512, 512],
            "max_side": 800,
            "precision": "fp32",
        },
        "infer": {"short_side": 512, "max_side": 800, "nms": 0.5, "precision": "fp32"},
    },
    "deeplab": {
        "backbone": "resnet50",
        "train": {"crop": 513, "schedule": "polynomial", "precision": "fp32"},
        "infer": {"precision": "fp32"},
    },
}

_SMALL: dict[str, Any] = {
    "maskrcnn": {
        "train": {
            "iterations": 600,
            "schedule": "one_cycle",
            "warm_up": 0,
            "regions": 32,
            "short_side": [128, 160],
            "max_side": 240,
        },
        "infer": {"short_side": 160, "max_side": 240},
    },
    "deeplab": {
        "train": {
            "iterations": 1000,
            "batch": 8,
            "schedule": "one_cycle",
            "crop": 160,
            "scale": [0.75, 1.25],
        },
        "infer": {"scales": [1.0]},
    },
}


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Nested `base` with the values of `override` in their places; neither is changed."""
    merged = dict(base)
    for key, value in override.items():
        known = merged.get(key)
        merged[key] = merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


PRESETS: dict[str, dict[str, Any]] = {
    # The reference's defaults: 990 IRNet steps on VOC train_aug.
    "paper_default": merge(_PAPER, {"irnet": {"train": {"batch": 32, "epochs": 3}}}),
    # The authors' published log: 3,305 IRNet steps.
    "paper_log": merge(_PAPER, {"irnet": {"train": {"batch": 16, "epochs": 5}}}),
    # Segmenters at 160 px and for a few minutes; nothing else.
    "small": _SMALL,
}
