"""train_deeplab: DeepLabV3 on the semantic masks of a variant, or on ground truth (Ahn et al. 2019, sec. 6)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.mask_samples import SemanticSamples
from irnet_pipe.data.transforms import NEUTRAL
from irnet_pipe.errors import InputError
from irnet_pipe.export.voc import MAX_LABELS
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.runtime.collectives import mean_over_ranks
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.training.mask_sources import TrueMasks, VariantMasks, mask_source
from irnet_pipe.training.segmenter import train_segmenter


def run(job: Job) -> None:
    """Write the trained weights, whose names are those of torchvision's model."""
    with turn(job) as missing:
        if missing:  # else a twin has made it meanwhile
            _train(job)


def _train(job: Job) -> None:
    settings, source = job.setting("deeplab.train"), mask_source(job)
    samples = SemanticSamples(
        _examples(job, source),
        job.root,
        source=source,
        stage=job.record.stage,
        working_long_side=job.setting("dataset.working_long_side"),
        crop=settings["crop"],
        scale=tuple(settings["scale"]),
        seed=job.setting("seed"),
    )
    rates = {"backbone": settings["lr"], "head": settings["lr_head"]}
    train_segmenter(job, DeepLab, samples=samples, learning_rates=rates, losses=_losses)


def _examples(job: Job, source: VariantMasks | TrueMasks) -> list[ImageEntry]:
    """Training images that show a class."""
    if len(job.fact("classes")) > MAX_LABELS:
        raise InputError(
            f"deeplab: {len(job.fact('classes'))} classes, but label maps have room for {MAX_LABELS}; name fewer in "
            "dataset.classes, or take deeplab out of segmenters"
        )
    labelled = [entry for entry in job.images if entry.labels]
    found = [entry for entry in labelled if source.has_classes(entry)]
    if not found:
        raise InputError(
            f"deeplab.train: none of {len(labelled)} training images with labels has a pixel of any class in "
            f"{job.setting('deeplab.train')['source']}; lower export.semantic.bg_threshold, or set "
            "deeplab.train.source to other masks"
        )
    return found


def _losses(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Mean cross entropy over the pixels of all ranks that are neither void nor padding."""
    count = mean_over_ranks((label != NEUTRAL).sum().float()).clamp(min=1)
    total = F.cross_entropy(logits.float(), label.long(), ignore_index=NEUTRAL, reduction="sum")
    return {"total": total / count}
