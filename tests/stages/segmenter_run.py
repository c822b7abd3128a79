"""The tiny run with segmenters: their config, and jobs of their trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tiny_pipeline import Pipeline

from first_stages import changed
from irnet_pipe.config.presets import merge
from irnet_pipe.runtime.job import Job

TRAIN: dict[str, Any] = {"freeze": "none", "batch_norm": "batch", "precision": "fp32", "threads": 1}
SEGMENTERS: dict[str, Any] = {
    "segmenters": ["maskrcnn", "deeplab"],
    "maskrcnn": {
        "backbone": "resnet18",
        "weights": None,
        "train": {
            **TRAIN,
            "iterations": 3,
            "batch": 2,
            "lr": 1e-3,
            "short_side": [40, 48],
            "max_side": 64,
            "warm_up": 2,
            "regions": 16,
        },
        "infer": {"short_side": 48, "max_side": 64, "detections": 7, "precision": "fp32"},
    },
    "deeplab": {
        "backbone": "resnet18",
        "weights": None,
        "train": {**TRAIN, "iterations": 3, "batch": 2, "crop": 32},
        "infer": {"scales": [1, 0.5], "precision": "fp32"},
    },
}


def with_segmenters(values: dict[str, Any], **paths: object) -> dict[str, Any]:
    """The tiny config with segmenters, and dotted paths set."""
    return changed(merge(values, SEGMENTERS), **paths)


def training_job(pipeline: Pipeline, folder: Path, name: str, **settings: object) -> Job:
    """A training yet to be run, with other settings of its section."""
    job = pipeline.job_in(folder, f"train_{name}")
    config = job.record.spec["config"]
    config = config | {f"{name}.train": config[f"{name}.train"] | settings}
    return dataclasses.replace(
        job, record=dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    )
