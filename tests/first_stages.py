"""Which stages each key of the config changes first: written by hand, from what stages use, not what they declare."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.plan import Plan
from irnet_pipe.stage_table import SEGMENTERS
from irnet_pipe.workflow import prepare

EVERY_CAM = ("infer_cam",)
TRAIN_CAM = ("train_cam",)
TRAIN_IRNET = ("train_irnet",)
TRAIN_AFFINITYNET = ("train_affinitynet",)
PROPAGATE_AFFINITYNET = ("propagate_affinitynet",)
TRAIN_MASKRCNN = ("train_maskrcnn",)
TRAIN_DEEPLAB = ("train_deeplab",)

FIRST_STAGES: dict[str, tuple[object, tuple[str, ...]]] = {
    "run": ("other", ("publish",)),
    "preset": ("paper_log", EVERY_CAM),
    "sweep": ({"random_walk.beta": [10, 8]}, ("propagate", "publish")),
    "seed": (1, TRAIN_CAM),
    "shards.n": (3, EVERY_CAM),
    "dataset.root": ("copy", ()),
    "dataset.format": ("csv", ()),
    "dataset.photos": ("images", ()),
    "dataset.labels": ("labels.csv", ()),
    "dataset.classes": (["disc", "box"], ("train_cam",)),
    "dataset.train": ("all", ("train_cam",)),
    "dataset.label": ("train.txt", ("gather_masks", "evaluate_cam", "evaluate_masks")),
    "dataset.evaluate": ("train.txt", ("evaluate_cam", "evaluate_masks")),
    "dataset.ground_truth": ("other.json", ("evaluate_cam", "evaluate_masks")),
    "dataset.negatives": ("drop", ("train_cam",)),
    "dataset.missing": ("negative", ()),
    "dataset.predict_threshold": (0.4, EVERY_CAM),
    "dataset.working_long_side": (48, EVERY_CAM),
    "dataset.max_pixels": (20_000, ()),
    "cam.backbone": ("resnet34", TRAIN_CAM),
    "cam.weights": ("IMAGENET1K_V1", TRAIN_CAM),
    "cam.trained": ("trained.pth", TRAIN_CAM),
    "cam.train.epochs": (2, TRAIN_CAM),
    "cam.train.batch": (3, TRAIN_CAM),
    "cam.train.crop": (96, TRAIN_CAM),
    "cam.train.long_side": ([32, 64], TRAIN_CAM),
    "cam.train.optimizer": ("sgd", TRAIN_CAM),
    "cam.train.schedule": ("one_cycle", TRAIN_CAM),
    "cam.train.lr": (0.2, TRAIN_CAM),
    "cam.train.lr_classifier": (0.2, TRAIN_CAM),
    "cam.train.momentum": (0.9, TRAIN_CAM),
    "cam.train.weight_decay": (0.01, TRAIN_CAM),
    "cam.train.freeze": ("stem", TRAIN_CAM),
    "cam.train.batch_norm": ("running", TRAIN_CAM),
    "cam.train.precision": ("bf16", TRAIN_CAM),
    "cam.train.threads": (1, TRAIN_CAM),
    "cam.infer.scales": ([1, 2], EVERY_CAM),
    "cam.infer.precision": ("bf16", EVERY_CAM),
    "relations.fg_threshold": (0.4, ("mine_relations",)),
    "relations.bg_threshold": (0.1, ("mine_relations",)),
    "relations.crf.iterations": (5, ("mine_relations",)),
    "relations.crf.gt_prob": (0.8, ("mine_relations",)),
    "relations.crf.gaussian_sxy": (2, ("mine_relations",)),
    "relations.crf.gaussian_compat": (2, ("mine_relations",)),
    "relations.crf.bilateral_sxy": (40, ("mine_relations",)),
    "relations.crf.bilateral_srgb": (6, ("mine_relations",)),
    "relations.crf.bilateral_compat": (9, ("mine_relations",)),
    "irnet.backbone": ("resnet34", TRAIN_IRNET),
    "irnet.weights": ("IMAGENET1K_V1", TRAIN_IRNET),
    "irnet.trained": ("trained.pth", TRAIN_IRNET),
    "irnet.radius": (5, TRAIN_IRNET),
    "irnet.train.epochs": (2, TRAIN_IRNET),
    "irnet.train.batch": (3, TRAIN_IRNET),
    "irnet.train.crop": (96, TRAIN_IRNET),
    "irnet.train.scale": ([1, 1], TRAIN_IRNET),
    "irnet.train.optimizer": ("adamw", TRAIN_IRNET),
    "irnet.train.schedule": ("one_cycle", TRAIN_IRNET),
    "irnet.train.lr_boundary": (0.2, TRAIN_IRNET),
    "irnet.train.lr_displacement": (0.2, TRAIN_IRNET),
    "irnet.train.momentum": (0.9, TRAIN_IRNET),
    "irnet.train.weight_decay": (0.01, TRAIN_IRNET),
    "irnet.train.precision": ("bf16", TRAIN_IRNET),
    "irnet.train.threads": (1, TRAIN_IRNET),
    "irnet.infer.canvas": (96, ("infer_irnet",)),
    "irnet.infer.precision": ("bf16", ("infer_irnet",)),
    "displacement.iterations": (10, ("refine_displacement",)),
    "displacement.threshold": (2, ("refine_displacement",)),
    "random_walk.radius": (4, ("propagate",)),
    "random_walk.beta": (8, ("propagate",)),
    "random_walk.exp_times": (6, ("propagate",)),
    "affinitynet.backbone": ("resnet34", TRAIN_AFFINITYNET),
    "affinitynet.weights": ("DEFAULT", TRAIN_AFFINITYNET),
    "affinitynet.radius": (4, TRAIN_AFFINITYNET),
    "affinitynet.relations.alpha_low": (3, ("mine_affinitynet",)),
    "affinitynet.relations.alpha_high": (24, ("mine_affinitynet",)),
    "affinitynet.relations.crf.iterations": (5, ("mine_affinitynet",)),
    "affinitynet.relations.crf.gaussian_sxy": (2, ("mine_affinitynet",)),
    "affinitynet.relations.crf.gaussian_compat": (2, ("mine_affinitynet",)),
    "affinitynet.relations.crf.bilateral_sxy": (40, ("mine_affinitynet",)),
    "affinitynet.relations.crf.bilateral_srgb": (6, ("mine_affinitynet",)),
    "affinitynet.relations.crf.bilateral_compat": (9, ("mine_affinitynet",)),
    "affinitynet.train.epochs": (2, TRAIN_AFFINITYNET),
    "affinitynet.train.batch": (3, TRAIN_AFFINITYNET),
    "affinitynet.train.crop": (96, TRAIN_AFFINITYNET),
    "affinitynet.train.optimizer": ("adamw", TRAIN_AFFINITYNET),
    "affinitynet.train.schedule": ("one_cycle", TRAIN_AFFINITYNET),
    "affinitynet.train.lr": (0.02, TRAIN_AFFINITYNET),
    "affinitynet.train.lr_head": (0.02, TRAIN_AFFINITYNET),
    "affinitynet.train.momentum": (0.9, TRAIN_AFFINITYNET),
    "affinitynet.train.weight_decay": (0.01, TRAIN_AFFINITYNET),
    "affinitynet.train.colour_jitter": ([0, 0, 0, 0], TRAIN_AFFINITYNET),
    "affinitynet.train.freeze": ("stem", TRAIN_AFFINITYNET),
    "affinitynet.train.batch_norm": ("batch", TRAIN_AFFINITYNET),
    "affinitynet.train.precision": ("fp32", TRAIN_AFFINITYNET),
    "affinitynet.train.threads": (1, TRAIN_AFFINITYNET),
    "affinitynet.infer.precision": ("fp32", PROPAGATE_AFFINITYNET),
    "affinitynet.walk.alpha": (8, PROPAGATE_AFFINITYNET),
    "affinitynet.walk.beta": (4, PROPAGATE_AFFINITYNET),
    "affinitynet.walk.exp_times": (6, PROPAGATE_AFFINITYNET),
    "export.variants": (["full"], ("report",)),
    "export.instance.bg_threshold": (0.3, ("export_masks",)),
    "export.instance.min_fragment": (0, ("export_masks",)),
    "export.semantic.bg_threshold": (0.3, ("export_masks",)),
    "segmenters": (["maskrcnn"], TRAIN_MASKRCNN),
    "maskrcnn.backbone": ("resnet34", TRAIN_MASKRCNN),
    "maskrcnn.weights": ("DEFAULT", TRAIN_MASKRCNN),
    "maskrcnn.train.source": ("cam", TRAIN_MASKRCNN),
    "maskrcnn.train.min_score": (0.55, TRAIN_MASKRCNN),
    "maskrcnn.train.iterations": (1, TRAIN_MASKRCNN),
    "maskrcnn.train.batch": (1, TRAIN_MASKRCNN),
    "maskrcnn.train.optimizer": ("adamw", TRAIN_MASKRCNN),
    "maskrcnn.train.schedule": ("one_cycle", TRAIN_MASKRCNN),
    "maskrcnn.train.milestones": ([2], TRAIN_MASKRCNN),
    "maskrcnn.train.warm_up": (3, TRAIN_MASKRCNN),
    "maskrcnn.train.lr": (0.02, TRAIN_MASKRCNN),
    "maskrcnn.train.momentum": (0.5, TRAIN_MASKRCNN),
    "maskrcnn.train.weight_decay": (0.01, TRAIN_MASKRCNN),
    "maskrcnn.train.regions": (32, TRAIN_MASKRCNN),
    "maskrcnn.train.short_side": ([32, 40], TRAIN_MASKRCNN),
    "maskrcnn.train.max_side": (72, TRAIN_MASKRCNN),
    "maskrcnn.train.freeze": ("stem", TRAIN_MASKRCNN),
    "maskrcnn.train.batch_norm": ("batch", TRAIN_MASKRCNN),
    "maskrcnn.train.precision": ("fp32", TRAIN_MASKRCNN),
    "maskrcnn.train.threads": (1, TRAIN_MASKRCNN),
    "maskrcnn.infer.short_side": (40, ("infer_maskrcnn",)),
    "maskrcnn.infer.max_side": (72, ("infer_maskrcnn",)),
    "maskrcnn.infer.nms": (0.3, ("infer_maskrcnn",)),
    "maskrcnn.infer.min_score": (0.2, ("infer_maskrcnn",)),
    "maskrcnn.infer.detections": (2, ("infer_maskrcnn",)),
    "maskrcnn.infer.precision": ("fp32", ("infer_maskrcnn",)),
    "deeplab.backbone": ("resnet34", TRAIN_DEEPLAB),
    "deeplab.weights": ("DEFAULT", TRAIN_DEEPLAB),
    "deeplab.train.source": ("cam", TRAIN_DEEPLAB),
    "deeplab.train.iterations": (1, TRAIN_DEEPLAB),
    "deeplab.train.batch": (3, TRAIN_DEEPLAB),
    "deeplab.train.optimizer": ("adamw", TRAIN_DEEPLAB),
    "deeplab.train.schedule": ("one_cycle", TRAIN_DEEPLAB),
    "deeplab.train.lr": (0.02, TRAIN_DEEPLAB),
    "deeplab.train.lr_head": (0.02, TRAIN_DEEPLAB),
    "deeplab.train.momentum": (0.5, TRAIN_DEEPLAB),
    "deeplab.train.weight_decay": (0.01, TRAIN_DEEPLAB),
    "deeplab.train.crop": (48, TRAIN_DEEPLAB),
    "deeplab.train.scale": ([1, 1], TRAIN_DEEPLAB),
    "deeplab.train.freeze": ("stem", TRAIN_DEEPLAB),
    "deeplab.train.batch_norm": ("batch", TRAIN_DEEPLAB),
    "deeplab.train.precision": ("fp32", TRAIN_DEEPLAB),
    "deeplab.train.threads": (1, TRAIN_DEEPLAB),
    "deeplab.infer.scales": ([1, 2], ("infer_deeplab",)),
    "deeplab.infer.precision": ("fp32", ("infer_deeplab",)),
    "deeplab.infer.crf.iterations": (5, ("infer_deeplab",)),
    "deeplab.infer.crf.gaussian_sxy": (2, ("infer_deeplab",)),
    "deeplab.infer.crf.gaussian_compat": (2, ("infer_deeplab",)),
    "deeplab.infer.crf.bilateral_sxy": (40, ("infer_deeplab",)),
    "deeplab.infer.crf.bilateral_srgb": (6, ("infer_deeplab",)),
    "deeplab.infer.crf.bilateral_compat": (9, ("infer_deeplab",)),
    "evaluation.cam_bg_threshold": (0.2, ("evaluate_cam",)),
    "evaluation.iou": ([0.5], ("evaluate_masks",)),
    "report.images": (1, ("report",)),
    "report.gallery": ("layered", ("draw_thumbnails",)),
    "report.thumbnail": (64, ("draw_thumbnails",)),
    "report.one_file": (0, ("report",)),
    "review": ("review.json", ("train_cam",)),
    "tables.seeds": ([0, 1], ()),
    "tables.rows": (["instance_cam"], ()),
    "tables.pseudo_images": ("train.txt", ()),
    "tables.segmenter_images": ("all", ()),
    "runtime.results": ("elsewhere", ()),
    "runtime.outputs": ("elsewhere", ()),
    "runtime.workers": (0, ()),
    "runtime.device": ("auto", ()),
    "runtime.devices_per_training": (2, ()),
    "runtime.checkpoint_minutes": (1, ()),
    "runtime.scratch": ("$TMPDIR", ()),
    "runtime.whole_graph": (True, ()),
}
"""Key → another value for the tiny run of conftest.py, and the first stages that it changes.

Stages below those change with them, whether they read the key themselves or not.
"""

NEEDED: dict[str, dict[str, object]] = {
    # Frozen layers and running statistics want pretrained weights, other backbones features of their own.
    "cam.train.freeze": {"cam.weights": "IMAGENET1K_V1"},
    "cam.train.batch_norm": {"cam.weights": "IMAGENET1K_V1"},
    "cam.backbone": {"irnet.weights": "IMAGENET1K_V1"},
    "irnet.backbone": {"irnet.weights": "IMAGENET1K_V1"},
    # AffinityNet is there when a variant asks for it.
    **{key: {"export.variants": ["affinitynet"]} for key in FIRST_STAGES if key.startswith("affinitynet.")},
    # Segmenters are there when asked for, and the long side is bounded from below by the short one.
    **{
        key: {"segmenters": [key.split(".")[0]], "maskrcnn.train.short_side": [32, 64]}
        for key in FIRST_STAGES
        if key.startswith(("maskrcnn.", "deeplab."))
    },
}
"""Keys that have to be set before another one may be changed."""


ASKED_FOR = (
    "select_relation_thresholds",
    "select_thresholds",
    *(f"{verb}_affinitynet" for verb in ("mine", "train", "propagate")),
    *(f"{verb}_{name}" for name in SEGMENTERS for verb in ("train", "infer")),
)
"""Stages that no run has unless `export` or `segmenters` asks for them."""


def changed(values: dict, **paths: object) -> dict:
    """Values with dotted paths (dots written as __) set."""
    for path, value in paths.items():
        for key in reversed(path.replace("__", ".").split(".")):
            value = {key: value}
        values = merge(values, value)
    return values


def values_before_and_after(
    path: str, tiny: dict[str, Any], photo_set: Path, trained: Any, *, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of the tiny run, and with the other value of a key; `folder` takes the files that it names."""
    value, _ = FIRST_STAGES[path]
    tiny = copy.deepcopy(tiny)
    if value == "copy":
        value = str(shutil.copytree(photo_set, folder / "copy"))
    elif value == "other.json":
        truth = json.loads((photo_set / "truth.json").read_text(encoding="utf-8"))
        (folder / "other.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
        value = str(folder / "other.json")
    elif value == "review.json":
        said = {"format": "irnet_pipe.review", "version": 1, "images": {"beta": {"unusable": True}}}
        (folder / value).write_text(json.dumps(said), encoding="utf-8")
        value = str(folder / value)
    elif value == "trained.pth":
        value = str(getattr(trained, path.split(".")[0]))
    elif path == "preset":
        del tiny["cam"]["infer"]
    before = changed(tiny, **NEEDED.get(path, {}))
    return before, changed(before, **{path: value})


def plan_of(values: dict[str, Any]) -> Plan:
    """The plan of a config; its index and records are written."""
    return prepare(parse_config(values)).plan


def first_changes(before: Plan, after: Plan) -> set[str]:
    """Stages of artifacts that are new although all their parents are known."""
    known = {artifact.recipe for artifact in before.artifacts}
    new = [artifact for artifact in after.artifacts if artifact.recipe not in known]
    return {a.stage for a in new if all(parent.recipe in known for parent in a.parents)}
