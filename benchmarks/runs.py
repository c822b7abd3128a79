"""A small run, whose stages rows can call as jobs do: networks that have learnt nothing, true file formats."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.comparators.twins import twin
from benchmarks.inputs import objects, photo_files, photos
from benchmarks.paired import Setting
from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.job import Job

CLASSES = tuple(f"class_{index:02d}" for index in range(20))
CANVAS = 512


class SmallRun:
    """A run of made-up labels on a few photos.

    Args:
        setting: where photos come from.
        count: photos.
        size: side of generated photos, in pixels.
        backbone: of both networks.
        shards: parts of the data set.
        canvas: of IRNet, in pixels; that of the defaults if None.
        relations: whether relations are mined, as they are where IRNet is trained.
        dataset: further keys of the section.
        segmenters: those of the run.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        count: int,
        size: int,
        backbone: str,
        shards: int = 1,
        canvas: int | None = None,
        relations: bool = False,
        dataset: Mapping[str, Any] | None = None,
        segmenters: Sequence[str] = (),
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="irnet_pipe_bench_"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._write_photos(setting, count, size)
        self._write_weights(backbone)
        values: dict[str, Any] = {
            "shards": {"n": shards},
            "segmenters": segmenters,
            "dataset": {
                "root": str(self.folder),
                "photos": "images",
                "labels": "labels.csv",
                "classes": CLASSES,
                **(dataset or {}),
            },
            "cam": {"backbone": backbone, "trained": str(self.folder / "cam.pth")},
            "irnet": {
                "backbone": backbone,
                "trained": None if relations else str(self.folder / "irnet.pth"),
                "infer": {"canvas": canvas or setting.choose(64, CANVAS, CANVAS)},
            },
            "runtime": {
                "results": str(self.folder / "results"),
                "outputs": str(self.folder / "outputs"),
                "device": "cpu",
            },
        }
        self._pipeline = twin("stages/tiny_pipeline.py", "Pipeline")(values, {})

    def job(self, stage: str) -> Job:
        """The job of a stage, whose parents are there; of shards, that of the largest."""
        return self._ready(self._pipeline.artifact(stage))

    def jobs(self, stage: str) -> list[Job]:
        """The jobs of all shards of a stage, whose parents are there."""
        return [self._ready(artifact) for artifact in self._pipeline.plan.of(stage)]

    def put_masks(self) -> Path:
        """Write made-up masks in the place of those of export_masks, and the same as PNGs.

        Returns:
            Folder of class/<image_id>.png, class_id + 1, and object/<image_id>.png; 0 is background in both.
        """
        folder = self.folder / "masks"
        for kind in ("class", "object"):
            (folder / kind).mkdir(parents=True)
        for artifact in self._pipeline.plan.of("export_masks"):
            job = self._pipeline.job(artifact)
            job.output.parent.mkdir(parents=True, exist_ok=True)
            with write_artifact(job.output, job.record) as writer:
                for number, entry in enumerate(job.images):
                    object_map, class_map = _masks(entry, seed=number)
                    arrays = _packed(object_map, class_map)
                    writer.add(entry.image_id, ImageSize(*object_map.shape, *object_map.shape), arrays)
                    Image.fromarray(object_map).save(folder / "object" / f"{entry.image_id}.png")
                    Image.fromarray(class_map).save(folder / "class" / f"{entry.image_id}.png")
        return folder

    def _ready(self, artifact: Any) -> Job:
        with contextlib.redirect_stderr(io.StringIO()):
            for parent in artifact.parents:
                self._pipeline.make(parent)
        job: Job = self._pipeline.job(artifact)
        return job

    def _write_photos(self, setting: Setting, count: int, size: int) -> None:
        images = self.folder / "images"
        images.mkdir()
        if setting.photos is None or setting.size == "toy":
            for index, photo in enumerate(photos(setting, count, size=size)):
                Image.fromarray(photo).save(images / f"{index:03d}.jpg", quality=95)
        else:
            for index, path in enumerate(photo_files(setting.photos, count)):
                (images / f"{index:03d}{path.suffix.lower()}").write_bytes(path.read_bytes())
        rng = np.random.default_rng(0)
        with (self.folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "labels"])
            for path in sorted(images.iterdir()):
                present = rng.choice(CLASSES, rng.integers(1, 4), replace=False)
                writer.writerow([path.stem, ";".join(present)])

    def _write_weights(self, backbone: str) -> None:
        header = {"backbone": backbone, "classes": list(CLASSES), "radius": 10}
        for kind, model in (("cam", cam_net(backbone)), ("irnet", irnet(backbone))):
            path = self.folder / f"{kind}.pth"
            write_weights(path, header={"kind": kind, **header}, state_dict=model.state_dict(), history={})


def _masks(entry: ImageEntry, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Objects of an image and class_id + 1 of each pixel, (H, W) uint8: one of each class, and one more."""
    assert entry.labels
    numbers = [0, *(class_id + 1 for class_id in entry.labels), entry.labels[0] + 1]
    object_map = objects((entry.height, entry.width), len(numbers) - 1, seed=seed)
    return object_map, np.array(numbers, np.uint8)[object_map]


def _packed(object_map: np.ndarray, class_map: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of an image in an artifact of the kind masks."""
    numbers, classes = (np.setdiff1d(map_, [0]) for map_ in (object_map, class_map))
    instance_class = [int(class_map[object_map == number][0]) - 1 for number in numbers]
    runs = [encode_rle(object_map == number) for number in numbers]
    return {
        "class_id": (classes - 1).astype(np.int32),
        **pack_runs("semantic", [encode_rle(class_map == value) for value in classes]),
        **pack_instances(runs, instance_class, [1.0] * len(runs)),
    }


def cam_net(backbone: str, *, freeze: str = "layer2") -> CamNet:
    """A classifier with seeded weights."""
    torch.manual_seed(0)
    model = CamNet(backbone, len(CLASSES), freeze=freeze)
    tame(model)
    return model


def irnet(backbone: str) -> IRNet:
    """IRNet with seeded weights."""
    torch.manual_seed(0)
    model = IRNet(backbone)
    tame(model)
    return model


def tame(model: nn.Module) -> None:
    """Keep the size of activations that no statistics normalise from growing with depth."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.5)
