"""A small run, whose stages rows can call as jobs do: networks that have learnt nothing, true file formats."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.comparators.twins import twin
from benchmarks.inputs import photo_files, photos
from benchmarks.paired import Setting
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet
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
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="irnet_pipe_bench_"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._write_photos(setting, count, size)
        self._write_weights(backbone)
        values: dict[str, Any] = {
            "shards": {"n": shards},
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


def cam_net(backbone: str, *, freeze: str = "layer2") -> CamNet:
    """A classifier with seeded weights."""
    torch.manual_seed(0)
    model = CamNet(backbone, len(CLASSES), freeze=freeze)
    _tame(model)
    return model


def irnet(backbone: str) -> IRNet:
    """IRNet with seeded weights."""
    torch.manual_seed(0)
    model = IRNet(backbone)
    _tame(model)
    return model


def _tame(model: nn.Module) -> None:
    """Keep the size of activations that no statistics normalise from growing with depth."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.5)
