"""The tiny run with segmenters: their config, jobs of their trainings, and masks to learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiny_pipeline import Pipeline

from first_stages import changed
from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.config.presets import merge
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.recipes import read_record, record_path
from irnet_pipe.runtime.job import Job

Instances = tuple[list[np.ndarray], Sequence[float]]
"""Masks (H, W) bool, and a score each."""

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


def put_masks(job: Job, arrays: Callable[[ImageEntry], dict[str, Any]]) -> None:
    """Write masks of our own in the place of those that a job reads; `arrays(entry)` gives those of an image."""
    for parent in job.record.parents:
        record = read_record(record_path(job.results, parent.recipe))
        shard, path = dataclasses.replace(job, record=record), job.results / record.path
        path.unlink()
        with write_artifact(path, record) as writer:
            for entry in shard.images:
                size = (entry.height, entry.width)
                writer.add(entry.image_id, ImageSize(*size, *size), arrays(entry))


def put_instances(job: Job, instances: Callable[[ImageEntry], Instances]) -> None:
    """Write instances of our own, of class 0; `instances(entry)` gives masks and scores."""

    def arrays(entry: ImageEntry) -> dict[str, Any]:
        masks, scores = instances(entry)
        return (
            {"class_id": np.zeros(0, dtype=np.int32)}
            | pack_runs("semantic", [])
            | pack_instances([encode_rle(mask) for mask in masks], [0] * len(masks), scores)
        )

    put_masks(job, arrays)


def many_instances(count: int) -> Callable[[ImageEntry], Instances]:
    """So many squares of 2×2 pixels in each image, 20 a row, of score 1."""

    def instances(entry: ImageEntry) -> Instances:
        masks = np.zeros((count, entry.height, entry.width), dtype=bool)
        for number, mask in enumerate(masks):
            top, left = 2 * (number // 20), 2 * (number % 20)
            mask[top : top + 2, left : left + 2] = True
        return list(masks), [1.0] * count

    return instances
