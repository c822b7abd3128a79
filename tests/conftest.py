"""Fixtures of all tests: a tiny data set, weights of tiny networks, and the config of a tiny run."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from irnet_pipe.config import Config, parse_config
from irnet_pipe.config.presets import merge

CLASSES = ("box", "disc")
IMAGES: dict[str, tuple[tuple[int, int], str]] = {
    "beta": ((48, 64), "box;disc"),
    "dot.in.name": ((64, 48), "disc"),
    "gamma": ((40, 56), ""),
    "larger": ((80, 112), "box"),
    "sub dir/ä b": ((56, 56), "box"),
    "100% sure": ((47, 61), "disc"),
    "label only": ((33, 64), "box;disc"),
    "sub dir/ä": ((64, 64), ""),
}
"""image_id → (height, width), classes; the last three are labelled, but never train."""
TRAINING = tuple(IMAGES)[:5]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if needing and not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def paint(folder: Path, image_id: str, *, seed: int) -> dict[str, tuple[int, int, int, int]]:
    """Write a photo: noise with a coloured box per class; returns class → (top, left, height, width)."""
    (height, width), labels = IMAGES[image_id]
    photo = np.random.default_rng(seed).integers(0, 90, (height, width, 3), dtype=np.uint8)
    boxes = {}
    for name in filter(None, labels.split(";")):
        channel = CLASSES.index(name)
        box = (height // 4, channel * width // 2, height // 2, width // 3)
        top, left, tall, wide = box
        photo[top : top + tall, left : left + wide, channel] += 150
        boxes[name] = box
    path = folder / "images" / f"{image_id}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path)
    return boxes


def coco_truth(boxes: dict[str, dict[str, tuple[int, int, int, int]]]) -> dict[str, Any]:
    """A COCO json that holds the boxes of each image as polygons."""
    images, annotations = [], []
    for number, (image_id, found) in enumerate(boxes.items()):
        height, width = IMAGES[image_id][0]
        file_name = f"{image_id}.png"
        images.append({"id": number, "file_name": file_name, "height": height, "width": width})
        for name, (top, left, tall, wide) in found.items():
            right, bottom = left + wide, top + tall
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES.index(name) + 1,
                    "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                    "bbox": [left, top, wide, tall],
                    "area": tall * wide,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20190410)


@pytest.fixture(scope="session")
def photo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny data set: images, labels.csv, train.txt, truth.json. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("photo set")
    boxes = {image_id: paint(folder, image_id, seed=seed) for seed, image_id in enumerate(IMAGES)}
    rows = [f'"{image_id}",{labels}' for image_id, (_, labels) in IMAGES.items()]
    (folder / "labels.csv").write_text("\n".join(["image_id,labels", *rows, ""]), encoding="utf-8")
    (folder / "train.txt").write_text("\n".join([*TRAINING, ""]), encoding="utf-8")
    (folder / "truth.json").write_text(json.dumps(coco_truth(boxes)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def image_labels() -> tuple[dict[str, str], tuple[str, ...]]:
    """Labels of every image of the tiny data set as in its table, and the images that train."""
    return {image_id: labels for image_id, (_, labels) in IMAGES.items()}, TRAINING


@dataclass(frozen=True)
class TrainedFiles:
    """Weights files of ResNet-18 networks that have learnt nothing."""

    cam: Path
    irnet: Path
    dark: Path
    """A classifier whose class maps are zero everywhere."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFiles:
    import torch

    from irnet_pipe.artifacts.weights import write_weights
    from irnet_pipe.models.cam_net import CamNet
    from irnet_pipe.models.irnet import IRNet

    folder = tmp_path_factory.mktemp("trained")
    files = TrainedFiles(folder / "cam.pth", folder / "irnet.pth", folder / "dark.pth")
    history = {"step": [1, 2], "loss": [0.7, 0.6], "lr": [0.1, 0.05]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cam, irnet = CamNet("resnet18", len(CLASSES)).state_dict(), IRNet("resnet18").state_dict()
    dark = cam | {"classifier.weight": torch.zeros_like(cam["classifier.weight"])}
    for path, kind, state in (
        (files.cam, "cam", cam),
        (files.irnet, "irnet", irnet),
        (files.dark, "cam", dark),
    ):
        header = {"kind": kind, "backbone": "resnet18", "classes": list(CLASSES), "radius": 4}
        write_weights(path, header=header, state_dict=state, history=history)
    return files


TINY: dict[str, Any] = {
    "run": "tiny",
    "shards": {"n": 2},
    "dataset": {
        "train": "train.txt",
        "label": "all",
        "evaluate": "all",
        "ground_truth": "truth.json",
        "working_long_side": 64,
    },
    "cam": {
        "backbone": "resnet18",
        "weights": None,
        "train": {
            "epochs": 1,
            "batch": 2,
            "crop": 64,
            "long_side": [64, 80],
            "optimizer": "adamw",
            "lr": 1e-3,
            "lr_classifier": 1e-3,
            "freeze": "none",
            "batch_norm": "batch",
            "precision": "fp32",
        },
        "infer": {"scales": [1, 0.5], "precision": "fp32"},
    },
    "irnet": {
        "backbone": "resnet18",
        "weights": "cam",
        "radius": 4,
        "train": {"epochs": 1, "batch": 2, "crop": 64, "precision": "fp32"},
        "infer": {"canvas": 64, "precision": "fp32"},
    },
    "export": {"variants": ["cam", "boundary", "full"]},
    "report": {"images": 3},
}


@pytest.fixture
def tiny(photo_set: Path, tmp_path: Path) -> dict[str, Any]:
    """Values of the config of a tiny run, which may be changed; results go to tmp_path."""
    return tiny_values(photo_set, tmp_path)


def tiny_values(root: Path, folder: Path) -> dict[str, Any]:
    """The tiny config with photos in `root` and results below `folder`."""
    places = {
        "dataset": {"root": str(root)},
        "runtime": {"results": str(folder / "results"), "outputs": str(folder / "outputs"), "device": "cpu"},
    }
    return merge(copy.deepcopy(TINY), places)


@pytest.fixture
def tiny_config(tiny: dict[str, Any]) -> Config:
    return parse_config(tiny)


@pytest.fixture(scope="session")
def make_tiny_values():
    """`tiny_values`, for tests in other folders."""
    return tiny_values
