"""train_maskrcnn: Mask R-CNN on the masks of a variant, or on ground truth (Ahn et al. 2019, sec. 6)."""

from __future__ import annotations

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.mask_samples import InstanceSamples
from irnet_pipe.errors import InputError
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.runtime.job import Job, turn
from irnet_pipe.training.mask_sources import TrueMasks, VariantMasks, mask_source
from irnet_pipe.training.segmenter import train_segmenter


def run(job: Job) -> None:
    """Write the trained weights, whose names are those of torchvision's model."""
    with turn(job) as missing:
        if missing:  # else a twin has made it meanwhile
            _train(job)


def _train(job: Job) -> None:
    settings = job.setting("maskrcnn.train")
    source = mask_source(job, min_score=settings["min_score"])
    samples = InstanceSamples(
        _examples(job, source),
        job.root,
        source=source,
        stage=job.record.stage,
        short_side=tuple(settings["short_side"]),
        max_side=settings["max_side"],
        seed=job.setting("seed"),
    )
    rates = {"backbone": settings["lr"], "head": settings["lr"]}
    train_segmenter(job, MaskRcnn, samples=samples, learning_rates=rates, regions=settings["regions"])


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
