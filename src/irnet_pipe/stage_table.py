"""What each stage declares: version, config paths that it reads, file type. Light: read at the parse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """What a stage declares: its version, the config paths that it reads, its file type.

    Bump `version` whenever the stage writes other bytes for the same spec.
    """

    version: int
    reads: tuple[str, ...]
    ext: str = "h5"


STAGES: dict[str, Stage] = {
    "train_cam": Stage(1, ("seed", "cam.backbone", "cam.weights", "cam.train"), "pth"),
    "infer_cam": Stage(3, ("cam.infer", "dataset.predict_threshold", "dataset.working_long_side")),
    "select_relation_thresholds": Stage(2, ("relations.crf", "dataset.working_long_side"), "json"),
    "mine_relations": Stage(2, ("relations", "dataset.working_long_side")),
    "train_irnet": Stage(
        2,
        (
            "seed",
            "irnet.backbone",
            "irnet.weights",
            "irnet.radius",
            "irnet.train",
            "dataset.working_long_side",
        ),
        "pth",
    ),
    "infer_irnet": Stage(4, ("irnet.infer", "dataset.working_long_side")),
    "calibrate_displacement": Stage(2, (), "json"),
    "refine_displacement": Stage(1, ("displacement",)),
    "propagate": Stage(2, ("random_walk",)),
    "mine_affinitynet": Stage(2, ("affinitynet.relations", "dataset.working_long_side")),
    "train_affinitynet": Stage(
        1,
        (
            "seed",
            "affinitynet.backbone",
            "affinitynet.weights",
            "affinitynet.radius",
            "affinitynet.train",
            "dataset.working_long_side",
        ),
        "pth",
    ),
    "propagate_affinitynet": Stage(
        2, ("affinitynet.radius", "affinitynet.infer", "affinitynet.walk", "dataset.working_long_side")
    ),
    "select_thresholds": Stage(3, (), "json"),
    "export_masks": Stage(1, ("export.instance", "export.semantic")),
    "train_maskrcnn": Stage(2, ("seed", "maskrcnn.backbone", "maskrcnn.weights", "maskrcnn.train"), "pth"),
    "infer_maskrcnn": Stage(2, ("maskrcnn.infer",)),
    "train_deeplab": Stage(
        1,
        ("seed", "deeplab.backbone", "deeplab.weights", "deeplab.train", "dataset.working_long_side"),
        "pth",
    ),
    "infer_deeplab": Stage(2, ("deeplab.infer", "dataset.working_long_side")),
    "draw_thumbnails": Stage(1, ("report.thumbnail",), "tar"),
    "gather_masks": Stage(2, (), "tar"),
    "evaluate_cam": Stage(1, ("evaluation.cam_bg_threshold",), "json"),
    "evaluate_masks": Stage(3, ("evaluation.iou",), "json"),
    "report": Stage(5, (), "html"),
    "publish": Stage(4, (), "json"),
}
"""Stages in the order of the pipeline."""

LOOKED_AT = {"select_relation_thresholds": 100, "select_thresholds": 300}
"""Stages that look at labelled images alone, and at so many of them at most: more change their curves by less than a
step."""

SEGMENTERS = ("maskrcnn", "deeplab")
"""Networks whose stages, train_<name> and infer_<name>, a run has when `segmenters` asks for them."""


def readers(key: str) -> list[str]:
    """Stages that read a config key themselves; none for keys that act through the plan or the index."""
    return [
        name
        for name, stage in STAGES.items()
        if any(key == read or key.startswith(f"{read}.") for read in stage.reads)
    ]


TRAINED = {"train_cam": "cam.trained", "train_irnet": "irnet.trained"}
"""Trainers, and the key of a weights file that takes their place."""

TRAINERS = ("train_cam", "train_irnet", "train_affinitynet", "train_maskrcnn", "train_deeplab")
"""Stages that several processes may share."""

DEVICE_STAGES = (
    *TRAINERS,
    "infer_cam",
    "infer_irnet",
    "propagate_affinitynet",
    "infer_maskrcnn",
    "infer_deeplab",
)
"""Stages that compute on a CUDA device where there is one."""


def number_stages(stages: Iterable[str]) -> dict[str, str]:
    """Stage → its number among those of a run in the order of the pipeline, such as `3 of 12`."""
    present = set(stages)
    ordered = [stage for stage in STAGES if stage in present]
    return {stage: f"{number} of {len(ordered)}" for number, stage in enumerate(ordered, 1)}
