"""A tiny run whose photos and artifacts are made up from ellipses.

Everything is made by sums, products and integers drawn at random, so it is the same on every machine: a stage that
reads it is tested on its own, whatever the stages before it would have made there.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_pipeline import Pipeline
from torch import nn

from irnet_pipe.artifacts.arrays import pack_levels, pack_maps, pack_runs
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.irnet_maps import pack_irnet_maps
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photo_files import working_size
from irnet_pipe.export.voc import write_tar
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.backbone import Backbone
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.plan import Plan
from irnet_pipe.report.gallery_data import ROWS, unit_call
from irnet_pipe.runtime.job import Job
from irnet_pipe.workflow import prepare

CLASSES = ("box", "disc")
BACKBONE = "resnet18"
LONG_SIDE = 96
UNLABELLED = "unknown"
Ellipse = tuple[int, float, float, float, float]
OBJECTS: dict[str, tuple[tuple[int, int], list[Ellipse]]] = {
    "both": ((80, 112), [(0, 0.40, 0.30, 0.34, 0.22), (1, 0.56, 0.73, 0.38, 0.21)]),
    "disc": ((72, 96), [(1, 0.52, 0.47, 0.43, 0.33)]),
    "none": ((48, 64), []),
    "pair": ((64, 112), [(1, 0.45, 0.27, 0.37, 0.19), (1, 0.57, 0.71, 0.39, 0.23)]),
    "slim": ((112, 72), [(0, 0.33, 0.44, 0.28, 0.36), (0, 0.87, 0.71, 0.07, 0.08)]),
    UNLABELLED: ((64, 88), [(1, 0.51, 0.53, 0.41, 0.31)]),
}
"""image_id → (height, width), and class_id, centre (y, x) and radii of each ellipse as shares of the sides."""

VALUES: dict[str, Any] = {
    "run": "made-up",
    "shards": {"n": 1},
    "dataset": {
        "train": "train.txt",
        "label": "all",
        "missing": "predict",
        "evaluate": "all",
        "ground_truth": "truth.json",
        "working_long_side": LONG_SIDE,
    },
    "cam": {
        "backbone": BACKBONE,
        "train": {
            "epochs": 2,
            "batch": 2,
            "crop": 64,
            "long_side": [64, 96],
            "lr": 0.01,
            "lr_classifier": 0.1,
            "momentum": 0.5,
            "precision": "fp32",
        },
        "infer": {"scales": [1, 0.5], "precision": "fp32"},
    },
    "irnet": {
        "backbone": BACKBONE,
        "weights": "cam",
        "radius": 4,
        "train": {"epochs": 2, "batch": 2, "crop": 64, "momentum": 0.5, "precision": "fp32"},
        "infer": {"canvas": 112, "precision": "fp32"},
    },
    "displacement": {"iterations": 7},
    "export": {"variants": ["cam", "boundary", "full"]},
    "report": {"images": 1, "thumbnail": 32},
}
ASKED_FOR: dict[str, Any] = {
    "relations": {"fg_threshold": "auto", "bg_threshold": "auto"},
    "export": {
        "variants": ["cam", "boundary", "full", "affinitynet"],
        "instance": {"bg_threshold": "auto"},
        "semantic": {"bg_threshold": "auto"},
    },
    "affinitynet": {
        "backbone": BACKBONE,
        "weights": "cam",
        "radius": 3,
        "train": {
            "epochs": 2,
            "batch": 2,
            "crop": 64,
            "lr": 0.01,
            "lr_head": 0.01,
            "momentum": 0.5,
            "precision": "fp32",
        },
        "infer": {"precision": "fp32"},
        "walk": {"exp_times": 3},
    },
    "segmenters": ["maskrcnn", "deeplab"],
    "maskrcnn": {
        "backbone": BACKBONE,
        "weights": "cam",
        "train": {
            "iterations": 2,
            "batch": 2,
            "lr": 0.001,
            "warm_up": 1,
            "milestones": [1],
            "regions": 16,
            "short_side": [48, 64],
            "max_side": 96,
            "precision": "fp32",
        },
        "infer": {"short_side": 48, "max_side": 64, "detections": 3, "precision": "fp32"},
    },
    "deeplab": {
        "backbone": BACKBONE,
        "weights": "cam",
        "train": {"iterations": 2, "batch": 2, "crop": 32, "precision": "fp32"},
        "infer": {"scales": [1, 0.5], "precision": "fp32", "crf": {"iterations": 2}},
    },
}


class MadeUpRun(Pipeline):
    """The plan of the made-up run; what `make` makes is made up.

    Args:
        folder: for photos and results.
    """

    def __init__(self, folder: Path) -> None:
        photos = folder / "photos"
        _write_photos(photos)
        torch.save(made_up_weights(Backbone(BACKBONE)), folder / "backbone.pth")
        values = {
            **VALUES,
            "dataset": {**VALUES["dataset"], "root": str(photos)},
            "cam": {**VALUES["cam"], "weights": str(folder / "backbone.pth")},
            "runtime": {"results": str(folder / "results"), "device": "cpu"},
        }
        super().__init__(values, {})
        # stages that are there when asked for; what others then have more to read is not frozen
        more = prepare(parse_config(merge(values, ASKED_FOR))).plan.artifacts
        asked_for = [a for a in more if not self.plan.of(a.stage)]
        self.plan = Plan((*self.plan.artifacts, *asked_for))

    def make(self, artifact: Any) -> Path:
        path = self.results / artifact.path
        if not path.exists():
            _MAKERS[artifact.stage](self.job(artifact))
        return path


# --- photos, labels, ground truth


def _write_photos(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    boxes, rows = [], []
    for image_id, (size, objects) in OBJECTS.items():
        Image.fromarray(_photo(size, objects)).save(folder / "images" / f"{image_id}.png")
        boxes.append((f"{image_id}.png", size, objects))
        rows.append((image_id, ";".join(CLASSES[class_id] for class_id in _classes(image_id))))
    known = [row for row in rows if row[0] != UNLABELLED]
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image_id", "labels"), *known])
    (folder / "train.txt").write_text("".join(f"{image_id}\n" for image_id, _ in known), encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(_truth(boxes)), encoding="utf-8")


def _photo(size: tuple[int, int], objects: list[Ellipse]) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    photo = (
        np.stack([40 + y // 2, 60 + x // 3, 50 + (y + x) // 4], axis=-1) + ((7 * y + 13 * x) % 11)[..., None]
    )
    for number, ellipse in enumerate(objects):
        photo[_height(size, ellipse) > 0] += (90 - 30 * number, 40 * ellipse[0], 60 * number)
    return photo.astype(np.uint8)


def _truth(images: list[tuple[str, tuple[int, int], list[Ellipse]]]) -> dict[str, Any]:
    """COCO ground truth: the rectangle about the middle of each ellipse."""
    annotations = []
    for number, (_, (height, width), objects) in enumerate(images):
        for class_id, y, x, tall, wide in objects:
            top, left = round((y - 0.7 * tall) * height), round((x - 0.7 * wide) * width)
            bottom, right = round((y + 0.8 * tall) * height), round((x + 0.8 * wide) * width)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": class_id + 1,
                    "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": number, "file_name": name, "height": size[0], "width": size[1]}
            for number, (name, size, _) in enumerate(images)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
    }


# --- geometry


def _classes(image_id: str) -> list[int]:
    return sorted({ellipse[0] for ellipse in OBJECTS[image_id][1]})


def _offsets(size: tuple[int, int], ellipse: Ellipse) -> np.ndarray:
    """Vectors (2, h, w) from each pixel of a grid over the photo to the centre of an ellipse, in pixels of the grid."""
    _, y, x, _, _ = ellipse
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    return np.stack([y * size[0] - rows, x * size[1] - columns])


def _height(size: tuple[int, int], ellipse: Ellipse) -> np.ndarray:
    """A paraboloid (h, w) over an ellipse: 1 at the centre, 0 on its rim, negative outside."""
    dy, dx = _offsets(size, ellipse)
    _, _, _, tall, wide = ellipse
    return 1 - (dy / (tall * size[0])) ** 2 - (dx / (wide * size[1])) ** 2


def _class_height(size: tuple[int, int], image_id: str, class_id: int) -> np.ndarray:
    objects = [ellipse for ellipse in OBJECTS[image_id][1] if ellipse[0] == class_id]
    return np.max([_height(size, ellipse) for ellipse in objects], axis=0)


def _sizes(entry: ImageEntry) -> ImageSize:
    working = working_size(entry.height, entry.width, long_side=LONG_SIDE)
    return ImageSize(entry.height, entry.width, *working)


def _grid(entry: ImageEntry, stride: int = 4) -> tuple[int, int]:
    size = _sizes(entry).working
    return -(-size[0] // stride), -(-size[1] // stride)


# --- artifacts

Arrays = dict[str, np.ndarray]


def _cam(entry: ImageEntry) -> Arrays:
    classes = _classes(entry.image_id)
    arrays: Arrays = {"class_id": np.array(classes, dtype=np.int32)}
    for number, stride in enumerate((16, 32) if classes else ()):
        heights = [_class_height(_grid(entry, stride), entry.image_id, class_id) for class_id in classes]
        maps = np.stack(
            [(5 + c) * np.clip(height, 0, None) for c, height in zip(classes, heights, strict=True)]
        )
        arrays |= pack_maps(f"map_{number}", maps.astype(np.float32))
    return arrays


def _relations(entry: ImageEntry) -> Arrays:
    classes = _classes(entry.image_id)
    if not classes:
        return {}
    label = np.full(_sizes(entry).working, 255, dtype=np.uint8)
    heights = [_class_height(label.shape, entry.image_id, class_id) for class_id in classes]
    label[np.max(heights, axis=0) < -0.3] = 0
    for number, height in enumerate(heights, 1):
        label[height > 0.2] = number
    return {"class_id": np.array(classes, dtype=np.int32), "label": label}


def _irnet_maps(entry: ImageEntry) -> Arrays:
    objects, size = OBJECTS[entry.image_id][1], _grid(entry)
    if not objects:
        return {}
    heights = np.stack([_height(size, ellipse) for ellipse in objects])
    boundary = np.clip(0.93 - 4 * heights**2, 0.02, 1).max(axis=0)
    displacement = np.stack([0.11 * _offsets(size, (0, 0.47, 0.53, 1, 1))[0], np.full(size, 2.87)])
    for ellipse, height in zip(objects, heights, strict=True):
        displacement = np.where(height > -0.1, 0.41 * _offsets(size, ellipse), displacement)
    return pack_irnet_maps(boundary.astype(np.float32), displacement.astype(np.float32))


def _instances(entry: ImageEntry) -> Arrays:
    objects, size = OBJECTS[entry.image_id][1], _grid(entry)
    if not objects:
        return {}
    instance_map = np.zeros(size, dtype=np.uint16)
    for number, ellipse in enumerate(objects, 1):
        instance_map[_height(size, ellipse) > -0.2] = number
    return {"centroid": np.zeros((2, *size), dtype=np.int16), "instance_map": instance_map}


def _propagation(entry: ImageEntry) -> Arrays:
    objects, size = OBJECTS[entry.image_id][1], _grid(entry)
    classes = _classes(entry.image_id)
    arrays: Arrays = {"class_id": np.array(classes, dtype=np.int32)}
    if objects:
        instances = np.stack([np.clip(_height(size, ellipse) + 0.3, 0, None) for ellipse in objects])
        owners = np.array([ellipse[0] for ellipse in objects], dtype=np.int32)
        arrays |= pack_levels("instance_score", instances.astype(np.float32))
        arrays |= {"instance_class": owners, "instance_id": np.arange(len(owners), dtype=np.int32)}
    return arrays


def _affinity_scores(entry: ImageEntry) -> Arrays:
    classes = _classes(entry.image_id)
    if not classes:
        return {}
    heights = [_class_height(_sizes(entry).working, entry.image_id, class_id) for class_id in classes]
    arrays: Arrays = {"class_id": np.array(classes, dtype=np.int32)}
    for name, rim in (("low_alpha", 0.2), ("high_alpha", -0.3)):
        scores = np.clip(255 * (np.stack(heights) - rim + 0.5) / len(classes), 0, 255).astype(np.uint8)
        arrays[name] = np.concatenate([255 - scores.sum(axis=0, dtype=np.uint8)[None], scores])
    return arrays


def _affinity_propagation(entry: ImageEntry) -> Arrays:
    classes, size = _classes(entry.image_id), _grid(entry, 8)
    arrays: Arrays = {"class_id": np.array(classes, dtype=np.int32)}
    if classes:
        heights = np.stack([_class_height(size, entry.image_id, class_id) for class_id in classes])
        scores = np.concatenate([np.full((1, *size), 0.4), np.clip(heights, 0, None)])
        arrays |= pack_maps("score", scores.astype(np.float32))
    return arrays


def _masks(entry: ImageEntry, *, rim: float) -> Arrays:
    size, objects = (entry.height, entry.width), OBJECTS[entry.image_id][1]
    classes = _classes(entry.image_id)
    semantic = [encode_rle(_class_height(size, entry.image_id, class_id) > rim) for class_id in classes]
    # the second of an image is worse, yet scores higher; the smallest one is a fragment
    masks = [_height(size, ellipse) > rim + 0.35 * number for number, ellipse in enumerate(objects)]
    scores = [0 if ellipse[3] < 0.1 else 0.5 + 0.25 * number for number, ellipse in enumerate(objects)]
    return {
        "class_id": np.array(classes, dtype=np.int32),
        **pack_runs("semantic", semantic),
        **pack_runs("instance", [encode_rle(mask) for mask in masks]),
        "instance_class": np.array([ellipse[0] for ellipse in objects], dtype=np.int32),
        "instance_score": np.array(scores, dtype=np.float32),
    }


def _write_shard(arrays: Callable[[ImageEntry], Arrays], **attributes: Any) -> Callable[[Job], None]:
    def write(job: Job) -> None:
        with write_artifact(job.output, job.record) as writer:
            for entry in job.images:
                writer.add(entry.image_id, _sizes(entry), arrays(entry), attributes)

    return write


def _write_masks(job: Job) -> None:
    rim = {"cam": 0.3, "boundary": 0.15}.get(job.fact("variant"), 0.0)
    _write_shard(lambda entry: _masks(entry, rim=rim))(job)


def _write_scores(job: Job) -> None:
    def figure(value: float, *names: str) -> dict[str, Any]:
        return {"mean": value, "classes": dict.fromkeys(names, value) | {CLASSES[-1]: None}}

    semantic = figure(0.625, "background", *CLASSES)
    result = {"semantic": semantic, "instance": {"AP50": figure(0.375, *CLASSES)}}
    scores = {
        "images": 6,
        "images_with_predicted_classes": 1,
        "variant": job.record.spec.get("variant", "raw CAM"),
        "figures": {"semantic": semantic} if job.record.stage == "evaluate_cam" else result,
    }
    write_json(job.output, job.record, scores)


def _write_tar(job: Job) -> None:
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with job.output.open("wb") as stream:
        write_tar(
            stream,
            [(name, name.encode()) for name in ("counts.json", "masks.json", "SegmentationClass/a.png")],
        )


def _write_thumbnails(job: Job) -> None:
    rows = [
        {
            "id": e.image_id,
            "size": [e.height, e.width],
            "labels": _classes(e.image_id),
            "masks": [],
            "doubt": 1.0,
        }
        for e in job.images
    ]
    script = unit_call(job.record.unit, rows, [("train_cam", "train_cam/all.pth")])
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with job.output.open("wb") as stream:
        write_tar(stream, [("0-photo.jpeg", b"photo"), (ROWS, script.encode())])


def _write_page(job: Job) -> None:
    job.output.parent.mkdir(parents=True, exist_ok=True)
    job.output.write_text("<!DOCTYPE html>\n", encoding="utf-8")


def made_up_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """State of a network, drawn such that activations neither vanish nor grow; norms and biases do nothing."""
    rng = np.random.default_rng(0)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.ndim > 1:
            fan_in = tensor[0].numel()
            # a classifier of positive mean, for class maps that are not zero
            low = -64 if name == "classifier.weight" else -128
            steps = rng.integers(low, 129, tuple(tensor.shape), dtype=np.int16)
            state[name] = torch.from_numpy(steps.astype(np.float32)) * 2.0 ** (
                -7 - fan_in.bit_length() // 2 + 1
            )
        elif name.endswith("bias"):
            state[name] = torch.zeros_like(tensor)
    return state


def _write_thresholds(job: Job) -> None:
    curve = {"bg_threshold": 0.3, "thresholds": [0.2, 0.3], "explained": [0.25, 0.5]}
    curve |= {"support": [0.2, 0.3], "score": [0.1, 0.2], "pictures": []}
    write_json(job.output, job.record, {"images": 4, **curve})


def _write_weights(network: Callable[[], nn.Module], kind: str) -> Callable[[Job], None]:
    def write(job: Job) -> None:
        header = {
            "kind": kind,
            "backbone": BACKBONE,
            "classes": list(CLASSES),
            "radius": 4,
            "learnt-from": "full",
        }
        history = {"step": [1, 2], "loss": [0.75, 0.5], "lr_backbone": [0.125, 0.0625]}
        write_weights(job.output, header=header, state_dict=made_up_weights(network()), history=history)

    return write


_MAKERS: dict[str, Callable[[Job], None]] = {
    "train_cam": _write_weights(lambda: CamNet(BACKBONE, len(CLASSES)), "cam"),
    "infer_cam": _write_shard(_cam, stride=16, scales=[1, 0.5], predicted=0),
    "select_relation_thresholds": lambda job: write_json(
        job.output,
        job.record,
        {
            "images": 4,
            "fg_threshold": 0.4,
            "bg_threshold": 0.1,
            "thresholds": [0.1, 0.2],
            "explained": [0.25, 0.5],
        },
    ),
    "mine_relations": _write_shard(_relations),
    "train_irnet": _write_weights(lambda: IRNet(BACKBONE), "irnet"),
    "infer_irnet": _write_shard(_irnet_maps, stride=4),
    "calibrate_displacement": lambda job: write_json(
        job.output, job.record, {"mean_displacement": [0.3125, -0.1875], "pixels": 1000}
    ),
    "refine_displacement": _write_shard(_instances, stride=4),
    "propagate": _write_shard(_propagation, stride=4),
    "mine_affinitynet": _write_shard(_affinity_scores),
    "train_affinitynet": _write_weights(lambda: AffinityNet(BACKBONE), "affinitynet"),
    "propagate_affinitynet": _write_shard(_affinity_propagation, stride=8),
    "select_thresholds": _write_thresholds,
    "export_masks": _write_masks,
    "train_maskrcnn": _write_weights(lambda: MaskRcnn(BACKBONE, len(CLASSES)).network, "maskrcnn"),
    "infer_maskrcnn": _write_masks,
    "train_deeplab": _write_weights(lambda: DeepLab(BACKBONE, len(CLASSES)).network, "deeplab"),
    "infer_deeplab": _write_masks,
    "draw_thumbnails": _write_thumbnails,
    "gather_masks": _write_tar,
    "evaluate_cam": _write_scores,
    "evaluate_masks": _write_scores,
    "report": _write_page,
}
"""Stage → what writes the made-up artifact of a job."""
