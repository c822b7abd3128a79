"""train_cam: the classifier that gives class activation maps (Ahn et al. 2019, sec. 3.2 and 6.1)."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from irnet_pipe.artifacts.weights import load_weights, read_weights, write_weights
from irnet_pipe.data.datasets import ClassifierSamples
from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.runtime.seeding import derive_seed
from irnet_pipe.training.initial_weights import load_initial_weights
from irnet_pipe.training.loop import Task
from irnet_pipe.training.weights_file import train_and_write


def run(job: Job) -> None:
    """Write the classifier's weights: trained, or those that `cam.trained` names."""
    with turn(job) as missing:
        if not missing:  # a twin has made it meanwhile
            return
        if "cam.trained" not in job.record.files:
            _train(job)
        elif job.ranks.leads:
            _adopt(job, Path(job.record.files["cam.trained"]))


def _adopt(job: Job, source: Path) -> None:
    classes = job.fact("classes")
    weights = read_weights(source, kind="cam")
    n_classes = len(weights.state_dict["classifier.weight"])
    if n_classes != len(classes) or weights.header.get("classes") not in (classes, n_classes):
        raise InputError(
            f"{source}: classifies {weights.header.get('classes', n_classes)}, but the data has {classes}; "
            "set dataset.classes to those of the file, or train anew without cam.trained"
        )
    load_weights(CamNet(weights.header["backbone"], n_classes), weights.state_dict, source=source)
    write_weights(job.output, header=weights.header, state_dict=weights.state_dict, history=weights.history)


def _train(job: Job) -> None:
    settings, seed, classes = job.setting("cam.train"), job.setting("seed"), job.fact("classes")
    torch.manual_seed(derive_seed(seed, job.record.stage, "initial weights"))
    model = CamNet(
        job.setting("cam.backbone"),
        len(classes),
        freeze=settings["freeze"],
        batch_norm=settings["batch_norm"],
    )
    load_initial_weights(job, model.backbone, section="cam")
    samples = ClassifierSamples(
        job.images,
        job.root,
        n_classes=len(classes),
        crop=settings["crop"],
        long_side=tuple(settings["long_side"]),
        seed=seed,
    )
    task = Task(
        section="cam.train",
        model=model,
        groups=model.parameter_groups(),
        learning_rates={"backbone": settings["lr"], "classifier": settings["lr_classifier"]},
        samples=samples,
        losses=_losses,
        settings=settings,
    )
    header = {"kind": "cam", "backbone": model.backbone.name, "classes": classes}
    train_and_write(task, job, header=header)


def _losses(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"total": F.multilabel_soft_margin_loss(logits.float(), target)}
