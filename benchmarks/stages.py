"""Rows of the stages: what a stage takes as a whole, with reading and writing, beside plain loops."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.comparators import published_steps
from benchmarks.comparators.plain_inference import bare_irnet, class_maps, decoded_photos, import_torch
from benchmarks.inputs import confident_label_maps
from benchmarks.kernels import relative_error
from benchmarks.paired import Disagreement, Row, Setting
from benchmarks.runs import CLASSES, SmallRun, cam_net, irnet
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.irnet_maps import read_boundary
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.recipes import record_path
from irnet_pipe.runtime.device import autocast
from irnet_pipe.runtime.job import Job
from irnet_pipe.training.losses import relation_losses
from irnet_pipe.training.optimizer import make_optimizer

TRAINER_THREADS = 2
"""The default of both trainings."""

RADIUS = 10
LATE_STAGES = ("infer_irnet", "calibrate_displacement", "refine_displacement", "propagate", "export_masks")
START_UPS = ("propagate", "infer_cam", "refine_displacement", "export_masks")
RATE = 1e-4
"""Of learning: so small that losses of untrained networks stay finite."""

StepResult = tuple[float, list[Tensor]]
"""Loss of a step, and the gradients of the last layers."""


def run_stage(job: Job) -> Path:
    """Run a stage anew, without its progress line → its artifact."""
    job.output.unlink(missing_ok=True)
    with contextlib.redirect_stderr(io.StringIO()):
        import_module(f"irnet_pipe.stages.{job.record.stage}").run(job)
    return job.output


# start_up: a case is a job of a stage on one tiny photo


def start_up_cases(setting: Setting) -> list[tuple[SmallRun, Job]]:
    run = SmallRun(setting, count=1, size=48, backbone="resnet18")
    return [(run, run.job(stage)) for stage in START_UPS[: setting.choose(1, 1, 4)]]


def start_up_ours(case: tuple[SmallRun, Job]) -> bool:
    _, job = case
    job.output.unlink(missing_ok=True)
    record = record_path(job.results, job.record.recipe)
    command = [sys.executable, "-m", "irnet_pipe", job.record.stage]
    options = [
        "--recipe",
        str(record),
        "--output",
        str(job.output),
        "--root",
        str(job.root),
        "--device",
        "cpu",
    ]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return job.output.exists()


def start_up_theirs(case: tuple[SmallRun, Job]) -> None:
    import_torch()


def start_up_agreement(cases: Sequence[Any], ours: Sequence[bool], theirs: Sequence[None]) -> str:
    if not all(ours):
        raise Disagreement("a job has written no artifact")
    return "artifacts written"


# infer_cam: a case is (run, job)


def infer_cam_cases(setting: Setting) -> list[tuple[SmallRun, Job]]:
    count, size = setting.choose(1, 2, 6), setting.choose(64, 192, 450)
    run = SmallRun(
        setting, count=count, size=size, backbone=setting.choose("resnet18", "resnet18", "resnet50")
    )
    return [(run, run.job("infer_cam"))]


def infer_cam_ours(case: tuple[SmallRun, Job]) -> Path:
    return run_stage(case[1])


def infer_cam_theirs(case: tuple[SmallRun, Job]) -> dict[str, list[Tensor]]:
    return class_maps(case[1])


def infer_cam_agreement(cases: Sequence[Any], ours: Sequence[Path], theirs: Sequence[dict[str, Any]]) -> str:
    errors = [0.0, 0.0]
    for (_, job), path, plain in zip(cases, ours, theirs, strict=True):
        exact = class_maps(job, precision="fp32")
        with ArtifactReader(path, kind="cam") as reader:
            for image_id, maps in exact.items():
                sides = (read_class_maps(reader, image_id)[1], plain[image_id])
                for side, found in enumerate(sides):
                    errors[side] = max(errors[side], *map(relative_error, found, maps))
    text = f"maps to {errors[0]:.1e} of the maximum, theirs to {errors[1]:.1e}, against fp32"
    if errors[0] > 1.25 * errors[1]:
        raise Disagreement(f"{text}; ours may be a quarter more than theirs")
    return text


# trainings: a case holds both networks, which start from the same weights


@dataclass(frozen=True)
class TrainingCase:
    """A step of ours and the same step as published."""

    photo: Tensor
    target: Tensor
    ours: Any
    ours_optimizer: torch.optim.Optimizer
    theirs: Any
    theirs_optimizer: torch.optim.Optimizer


def _training_case(make_model: Callable[[], Any], photo: Tensor, target: Tensor) -> TrainingCase:
    models = make_model().to(memory_format=torch.channels_last).train(), make_model().train()
    optimizers = []
    for model in models:
        groups = model.parameter_groups()
        settings = {"optimizer": "sgd", "momentum": 1e-4, "weight_decay": 1e-4}
        optimizers.append(make_optimizer(groups, dict.fromkeys(groups, RATE), settings=settings))
    models[1].backbone.requires_grad_(True)
    return TrainingCase(photo, target, models[0], optimizers[0], models[1], optimizers[1])


def _photos(batch: int, side: int) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def train_cam_cases(setting: Setting) -> list[TrainingCase]:
    batch, side = setting.choose((1, 64), (2, 192), (16, 384))
    target = (torch.rand(batch, len(CLASSES), generator=torch.Generator().manual_seed(1)) < 0.1).float()
    make_model = partial(cam_net, setting.choose("resnet18", "resnet50", "resnet50"))
    return [_training_case(make_model, _photos(batch, side), target)]


def train_irnet_cases(setting: Setting) -> list[TrainingCase]:
    batch, side = setting.choose((1, 96), (2, 256), (8, 384))
    make_model = partial(irnet, setting.choose("resnet18", "resnet50", "resnet50"))
    labels = confident_label_maps(batch, side // 4, seed=0)
    return [_training_case(make_model, _photos(batch, side), labels)]


def _bf16() -> torch.autocast:
    return autocast(torch.device("cpu"), "bf16")


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, last_layers: Sequence[nn.Conv2d]) -> StepResult:
    loss.backward()
    gradients = [layer.weight.grad.clone() for layer in last_layers]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach()), gradients


def train_cam_ours(case: TrainingCase) -> StepResult:
    with _bf16():
        logits = case.ours(case.photo.to(memory_format=torch.channels_last))
    loss = F.multilabel_soft_margin_loss(logits.float(), case.target)
    return _descend(loss, case.ours_optimizer, [case.ours.classifier])


def train_cam_theirs(case: TrainingCase) -> StepResult:
    loss = published_steps.cam_loss(case.theirs, case.photo, case.target)
    return _descend(loss, case.theirs_optimizer, [case.theirs.classifier])


def train_irnet_ours(case: TrainingCase) -> StepResult:
    with _bf16():
        logit, displacement = case.ours(case.photo.to(memory_format=torch.channels_last))
    losses = relation_losses(logit.float(), displacement.float(), case.target, radius=RADIUS)
    return _descend(losses["total"], case.ours_optimizer, _last_layers(case.ours))


def train_irnet_theirs(case: TrainingCase) -> StepResult:
    loss = published_steps.irnet_loss(case.theirs, case.photo, case.target, radius=RADIUS)
    return _descend(loss, case.theirs_optimizer, _last_layers(case.theirs))


def train_irnet_theirs_bf16(case: TrainingCase) -> StepResult:
    with _bf16():
        return train_irnet_theirs(case)


def _last_layers(model: IRNet) -> list[nn.Conv2d]:
    return [model.boundary.logit, model.displacement.field]


def step_agreement(cases: Sequence[Any], ours: Sequence[StepResult], theirs: Sequence[StepResult]) -> str:
    """Of the first step, before which the weights are equal."""
    (our_loss, our_gradients), (their_loss, their_gradients) = ours[0], theirs[0]
    worst = max(map(relative_error, our_gradients, their_gradients))
    text = f"loss {our_loss:.4f} against {their_loss:.4f}, gradients of last layers to {worst:.0e} of the maximum"
    if abs(our_loss / their_loss - 1) > 0.02 or worst > 0.1:
        raise Disagreement(f"{text}; at most 2 % and 1e-01 (bf16)")
    return text


# late_stages: a case is (run, jobs, photos decoded)


def late_cases(setting: Setting) -> list[tuple[SmallRun, list[Job], list[Tensor]]]:
    count, size = setting.choose(1, 4, 20), setting.choose(64, 256, 450)
    run = SmallRun(
        setting, count=count, size=size, backbone=setting.choose("resnet18", "resnet18", "resnet50")
    )
    jobs = [run.job(stage) for stage in LATE_STAGES]
    return [(run, jobs, decoded_photos(jobs[0]))]


def late_ours(case: tuple[SmallRun, list[Job], list[Tensor]]) -> list[Path]:
    return [run_stage(job) for job in case[1]]


def late_theirs(case: tuple[SmallRun, list[Job], list[Tensor]]) -> list[tuple[Tensor, Tensor]]:
    _, jobs, decoded = case
    return bare_irnet(jobs[0], decoded)


def late_agreement(cases: Sequence[Any], ours: Sequence[list[Path]], theirs: Sequence[Any]) -> str:
    worst = 0.0
    for (_, jobs, _), paths, expected in zip(cases, ours, theirs, strict=True):
        with ArtifactReader(paths[0], kind="irnet_maps") as reader:
            for entry, (boundary, _) in zip(jobs[0].images, expected, strict=True):
                worst = max(worst, relative_error(read_boundary(reader, entry.image_id), boundary))
    text = f"boundary maps to {worst:.0e} of the maximum"
    if worst > 2e-2:
        raise Disagreement(f"{text}; at most 2e-02 (bf16, stored as float16)")
    return text


ROWS = (
    Row(
        "start_up",
        f"whole jobs on one photo of 48 pixels: {', '.join(START_UPS)} (quick: the first)",
        "a process that imports torch",
        start_up_cases,
        start_up_ours,
        start_up_theirs,
        start_up_agreement,
        memory=False,
    ),
    Row(
        "infer_cam",
        "infer_cam, 6 photos, ResNet-50, bf16 (quick: 2 photos of 192 pixels, ResNet-18)",
        "a loop over photos and scales, the mirror as a batch of two",
        infer_cam_cases,
        infer_cam_ours,
        infer_cam_theirs,
        infer_cam_agreement,
    ),
    Row(
        "train_irnet",
        "a step, ResNet-50, bf16, batch 8 of 384×384 (quick: 2 of 256×256)",
        "the published step in bf16",
        train_irnet_cases,
        train_irnet_ours,
        train_irnet_theirs_bf16,
        step_agreement,
        threads=TRAINER_THREADS,
    ),
    Row(
        "train_irnet_fp32",
        "the same",
        "the published step in fp32",
        train_irnet_cases,
        train_irnet_ours,
        train_irnet_theirs,
        step_agreement,
        threads=TRAINER_THREADS,
    ),
    Row(
        "train_cam",
        "a step, ResNet-50, bf16, batch 16 of 384×384 (quick: 2 of 192×192)",
        "the published step in fp32",
        train_cam_cases,
        train_cam_ours,
        train_cam_theirs,
        step_agreement,
        threads=TRAINER_THREADS,
    ),
    Row(
        "late_stages",
        f"{', '.join(LATE_STAGES)}, 20 photos, ResNet-50, bf16 (quick: 4 of 256 pixels, ResNet-18)",
        "the bare forward pass of IRNet on photos decoded before",
        late_cases,
        late_ours,
        late_theirs,
        late_agreement,
    ),
)
