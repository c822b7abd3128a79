"""train_maskrcnn: Mask R-CNN on the masks of a variant, or on ground truth (Ahn et al. 2019, sec. 6.4)."""

from __future__ import annotations

import torch

from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.instances import InstanceSamples
from irnet_pipe.errors import InputError
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.runtime.seeding import derive_seed
from irnet_pipe.training.checkpoint import Checkpoints
from irnet_pipe.training.initial_weights import load_initial_weights
from irnet_pipe.training.loop import Task, train
from irnet_pipe.training.mask_sources import TrueMasks, VariantMasks, mask_source


def run(job: Job) -> None:
    """Write the trained weights, whose names are those of torchvision's model."""
    with turn(job) as missing:
        if missing:  # else a twin has made it meanwhile
            _train(job)


def _train(job: Job) -> None:
    settings, seed, classes = job.setting("maskrcnn.train"), job.setting("seed"), job.fact("classes")
    source = mask_source(job, min_score=settings["min_score"])
    samples = InstanceSamples(
        _examples(job, source),
        job.root,
        source=source,
        stage=job.record.stage,
        short_side=tuple(settings["short_side"]),
        max_side=settings["max_side"],
        seed=seed,
    )
    torch.manual_seed(derive_seed(seed, job.record.stage, "initial weights"))
    backbone = job.setting("maskrcnn.backbone")
    model = MaskRcnn(
        backbone,
        len(classes),
        freeze=settings["freeze"],
        batch_norm=settings["batch_norm"],
        regions=settings["regions"],
    )
    load_initial_weights(job, model, section="maskrcnn")
    task = Task(
        section="maskrcnn.train",
        model=model,
        groups=model.parameter_groups(),
        learning_rates={"backbone": settings["lr"], "head": settings["lr"]},
        samples=samples,
        losses=None,
        settings=settings,
    )
    history = train(task, job)
    if not job.ranks.leads:
        return
    header = {
        "kind": "maskrcnn",
        "backbone": backbone,
        "classes": classes,
        "learnt-from": settings["source"],
        "recipe": job.record.recipe,
        "spec": job.record.spec,
    }
    write_weights(job.output, header=header, state_dict=model.network.state_dict(), history=history)
    Checkpoints(job.work, recipe=job.record.recipe).clear()


def _examples(job: Job, source: VariantMasks | TrueMasks) -> list[ImageEntry]:
    """Training images that have an instance to learn from."""
    labelled = [entry for entry in job.images if entry.labels]
    found = [entry for entry in labelled if source.has_instances(entry)]
    if not found:
        settings = job.setting("maskrcnn.train")
        raise InputError(
            f"maskrcnn.train: none of {len(labelled)} training images with labels has an instance in "
            f"{settings['source']} of score {settings['min_score']} or more; lower maskrcnn.train.min_score, "
            "export.instance.bg_threshold or export.instance.min_fragment, or set maskrcnn.train.source to other masks"
        )
    return found
