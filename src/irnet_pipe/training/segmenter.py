"""The training of a segmenter: initial weights of its backbone, the loop, the weights file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from irnet_pipe.data.datasets import Samples
from irnet_pipe.models.segmenter import Segmenter
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.seeding import derive_seed
from irnet_pipe.training.initial_weights import load_initial_weights
from irnet_pipe.training.loop import Task
from irnet_pipe.training.weights_file import train_and_write


def train_segmenter(
    job: Job,
    build: Callable[..., Segmenter],
    *,
    samples: Samples,
    learning_rates: Mapping[str, float],
    losses: Callable[[Any, Tensor], Mapping[str, Tensor]] | None = None,
    **options: Any,
) -> None:
    """Train and write the weights, whose names are those of torchvision's model.

    Args:
        job: of a stage train_<kind>.
        build: (backbone, n_classes, freeze, batch_norm, …) → the model.
        samples: of the training.
        learning_rates: of backbone and head.
        losses: see `Task`.
        options: of `build`, beyond those of all segmenters.

    Raises:
        InputError: initial weights of another backbone, or what the loop raises.
    """
    kind, settings = _section(job)
    model = _initial_model(job, build, **options)
    task = Task(
        section=f"{kind}.train",
        model=model,
        groups=model.parameter_groups(),
        learning_rates=learning_rates,
        samples=samples,
        losses=losses,
        settings=settings,
    )
    header = {
        "kind": kind,
        "backbone": job.setting(f"{kind}.backbone"),
        "classes": job.fact("classes"),
        "learnt-from": settings["source"],
    }
    train_and_write(task, job, header=header, network=model.network)


def _section(job: Job) -> tuple[str, dict[str, Any]]:
    """Kind of the network, and the values of its section `train`."""
    kind = job.record.stage.removeprefix("train_")
    return kind, job.setting(f"{kind}.train")


def _initial_model(job: Job, build: Callable[..., Segmenter], **options: Any) -> Segmenter:
    kind, settings = _section(job)
    torch.manual_seed(derive_seed(job.setting("seed"), job.record.stage, "initial weights"))
    frozen = {key: settings[key] for key in ("freeze", "batch_norm")}
    model = build(job.setting(f"{kind}.backbone"), len(job.fact("classes")), **frozen, **options)
    load_initial_weights(job, model.body, section=kind)
    return model
