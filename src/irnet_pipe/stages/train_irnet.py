"""train_irnet: boundary and displacement heads, from inter-pixel relations (Ahn et al. 2019, sec. 4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from irnet_pipe.artifacts.weights import load_weights, read_weights, write_weights
from irnet_pipe.data.datasets import RelationSamples
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.runtime.seeding import derive_seed
from irnet_pipe.training.initial_weights import load_initial_weights
from irnet_pipe.training.loop import Task
from irnet_pipe.training.losses import relation_losses
from irnet_pipe.training.weights_file import train_and_write


def run(job: Job) -> None:
    """Write IRNet's weights: trained, or those that `irnet.trained` names."""
    with turn(job) as missing:
        if not missing:  # a twin has made it meanwhile
            return
        if "irnet.trained" not in job.record.files:
            _train(job)
        elif job.ranks.leads:
            _adopt(job, Path(job.record.files["irnet.trained"]))


def _adopt(job: Job, source: Path) -> None:
    weights = read_weights(source, kind="irnet")
    load_weights(IRNet(weights.header["backbone"]), weights.state_dict, source=source)
    write_weights(job.output, header=weights.header, state_dict=weights.state_dict, history=weights.history)


def _train(job: Job) -> None:
    settings, seed, radius = job.setting("irnet.train"), job.setting("seed"), job.setting("irnet.radius")
    torch.manual_seed(derive_seed(seed, job.record.stage, "initial weights"))
    model = IRNet(job.setting("irnet.backbone"))
    load_initial_weights(job, model.backbone, section="irnet")
    samples = RelationSamples(
        [entry for entry in job.images if entry.labels],
        job.root,
        relations=job.parents("mine_relations"),
        working_long_side=job.setting("dataset.working_long_side"),
        crop=settings["crop"],
        scale=tuple(settings["scale"]),
        seed=seed,
    )
    task = Task(
        section="irnet.train",
        model=model,
        groups=model.parameter_groups(),
        learning_rates={"boundary": settings["lr_boundary"], "displacement": settings["lr_displacement"]},
        samples=samples,
        losses=partial(_losses, radius=radius),
        settings=settings,
    )
    header = {"kind": "irnet", "backbone": model.backbone.name, "radius": radius}
    train_and_write(task, job, header=header)


def _losses(output: tuple[Tensor, Tensor], label: Tensor, *, radius: int) -> dict[str, Tensor]:
    boundary_logit, displacement = output
    return relation_losses(boundary_logit.float(), displacement.float(), label, radius=radius)
