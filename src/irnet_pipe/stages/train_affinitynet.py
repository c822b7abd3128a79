"""train_affinitynet: features whose distance tells which pixels belong together (Ahn and Kwak 2018, sec. 3.2)."""

from __future__ import annotations

from functools import partial

import torch

from irnet_pipe.data.datasets import AffinitySamples
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.runtime.seeding import derive_seed
from irnet_pipe.training.initial_weights import load_initial_weights
from irnet_pipe.training.loop import Task
from irnet_pipe.training.losses import affinity_losses
from irnet_pipe.training.weights_file import train_and_write


def run(job: Job) -> None:
    """Write AffinityNet's weights."""
    with turn(job) as missing:
        if missing:  # else a twin has made it meanwhile
            _train(job)


def _train(job: Job) -> None:
    settings, seed = job.setting("affinitynet.train"), job.setting("seed")
    radius = job.setting("affinitynet.radius")
    torch.manual_seed(derive_seed(seed, job.record.stage, "initial weights"))
    model = AffinityNet(
        job.setting("affinitynet.backbone"), freeze=settings["freeze"], batch_norm=settings["batch_norm"]
    )
    load_initial_weights(job, model.backbone, section="affinitynet")
    samples = AffinitySamples(
        [entry for entry in job.images if entry.labels],
        job.root,
        scores=job.parents("mine_affinitynet"),
        working_long_side=job.setting("dataset.working_long_side"),
        crop=settings["crop"],
        jitter=settings["colour_jitter"],
        seed=seed,
    )
    task = Task(
        section="affinitynet.train",
        model=model,
        groups=model.parameter_groups(),
        learning_rates={"backbone": settings["lr"], "head": settings["lr_head"]},
        samples=samples,
        losses=partial(affinity_losses, radius=radius),
        settings=settings,
    )
    header = {"kind": "affinitynet", "backbone": model.backbone.name, "radius": radius}
    train_and_write(task, job, header=header)
