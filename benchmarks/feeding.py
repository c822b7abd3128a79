"""Rows of what keeps the machine busy: photos loaded while a network is trained, and shards side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.paired import Disagreement, Row, Setting
from benchmarks.runs import CLASSES, SmallRun, cam_net
from benchmarks.stages import TRAINER_THREADS, run_stage
from irnet_pipe.data.datasets import ClassifierSamples, Sample, load_batches
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.runtime.device import autocast
from irnet_pipe.runtime.job import Job
from irnet_pipe.training.schedule import Schedule

WORKERS = 2
"""The default of `runtime.workers`."""

EPOCHS = 1000
"""More than are ever asked for: processes that load photos start once, as in a training."""


class DecodedSamples(ClassifierSamples):
    """The same samples of photos that were decoded before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decoded = {entry.image_id: super(DecodedSamples, self).photo(entry) for entry in self.entries}

    def photo(self, entry: ImageEntry) -> NDArray[np.uint8]:
        return self._decoded[entry.image_id]


@dataclass(frozen=True)
class LoadingCase:
    """Epochs from files and from memory, and what is trained on them."""

    run: SmallRun
    steps: int
    from_files: Iterator[Sample]
    from_memory: Iterator[Sample]
    model: nn.Module


def loading_cases(setting: Setting) -> list[LoadingCase]:
    batch, steps, crop = setting.choose((1, 2, 64), (2, 4, 192), (16, 4, 384))
    backbone = setting.choose("resnet18", "resnet18", "resnet50")
    run = SmallRun(setting, count=batch * steps, size=setting.choose(64, 192, 450), backbone=backbone)
    job = run.job("infer_cam")
    facts = {"n_classes": len(CLASSES), "crop": crop, "long_side": (320, 640), "seed": 0}
    schedule = Schedule(len(job.images), batch, EPOCHS)
    epochs = [
        load_batches(
            kind(job.images, job.root, **facts),
            schedule.batches(0, seed=0, stage="train_cam"),
            workers=workers,
            device=torch.device("cpu"),
        )
        for kind, workers in ((ClassifierSamples, WORKERS), (DecodedSamples, 0))
    ]
    model = cam_net(backbone).to(memory_format=torch.channels_last).train()
    return [LoadingCase(run, steps, *epochs, model)]


def loading_ours(case: LoadingCase) -> list[float]:
    return _epoch(case, case.from_files)


def loading_theirs(case: LoadingCase) -> list[float]:
    return _epoch(case, case.from_memory)


def _epoch(case: LoadingCase, batches: Iterator[Sample]) -> list[float]:
    """Loss of each step; nothing is learnt, so that both sides see the same network."""
    losses = []
    for _ in range(case.steps):
        photo, target = next(batches)
        with autocast(torch.device("cpu"), "bf16"):
            logits: Tensor = case.model(photo)
        loss = F.multilabel_soft_margin_loss(logits.float(), target)
        case.model.zero_grad()
        loss.backward()
        losses.append(loss.item())
    return losses


def loading_agreement(cases: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    if ours != theirs:
        raise Disagreement("the losses of an epoch differ")
    return "losses equal"


# two_workers: a case is (run, jobs of shards, a pool of two processes, a pool of one)


def shard_cases(
    setting: Setting,
) -> list[tuple[SmallRun, list[Job], ProcessPoolExecutor, ProcessPoolExecutor]]:
    count, size = setting.choose(4, 8, 100), setting.choose(48, 128, 450)
    shards = setting.choose(2, 4, 8)
    run = SmallRun(setting, count=count, size=size, backbone="resnet18", shards=shards, relations=True)
    spawn = get_context("spawn")
    pools = [ProcessPoolExecutor(workers, mp_context=spawn) for workers in (2, 1)]
    return [(run, run.jobs("mine_relations"), *pools)]


def shards_of_two(case: Any) -> list[str]:
    return list(case[2].map(_run_and_digest, case[1]))


def shards_of_one(case: Any) -> list[str]:
    return list(case[3].map(_run_and_digest, case[1]))


def _run_and_digest(job: Job) -> str:
    return hashlib.sha256(run_stage(job).read_bytes()).hexdigest()


def shards_agreement(cases: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    if ours != theirs or not all(ours):
        raise Disagreement("artifacts differ, or there are none")
    return f"{sum(map(len, ours))} artifacts equal"


ROWS = (
    Row(
        "data_loading",
        "an epoch of train_cam: 4 batches of 16 crops of 384×384, ResNet-50, bf16, two loading processes "
        "(quick: 4 of 2 crops of 192×192, ResNet-18)",
        "the same on photos decoded before, in memory",
        loading_cases,
        loading_ours,
        loading_theirs,
        loading_agreement,
        threads=TRAINER_THREADS,
        memory=False,
    ),
    Row(
        "two_workers",
        "mine_relations of 100 photos in 8 shards by two processes (quick: 8 in 4)",
        "the same by one process",
        shard_cases,
        shards_of_two,
        shards_of_one,
        shards_agreement,
        memory=False,
    ),
)
