"""What sections of trainings share, and the sections cam.train and irnet.train."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from irnet_pipe.config.section import Precision, Section

PAPER_BATCH, PAPER_CLASSES = 16, 20


class Training(Section):
    """What the trainings by epochs have."""

    epochs: int = Field(5, ge=1, le=1000, description="Passes over the training images.")
    batch: int = Field(16, ge=1, le=4096, description="Images per step; an incomplete last batch is dropped.")
    crop: int = Field(512, ge=32, le=4096, description="Side of the random square crop (pixels).")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="Optimiser.")
    schedule: Literal["polynomial", "one_cycle"] = Field(
        "polynomial",
        description="Learning rate: lr·(1−t/T)^0.9, or one cycle (cosine, warm-up of 30 %).",
    )
    momentum: float = Field(
        1e-4,
        ge=0,
        lt=1,
        description="Momentum of SGD. The reference passes its weight decay here (1e-4); its learning rates were "
        "tuned that way.",
    )
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Weight decay.")
    precision: Precision = Field(
        "bf16", description="Autocast precision of the network; losses are computed in fp32."
    )
    threads: int = Field(
        2,
        ge=1,
        le=256,
        description="Threads of torch on the CPU, and cores that the job takes of the machine; another number changes "
        "the last bits of gradients.",
    )


class BackboneTraining(Section):
    """What the trainings of a backbone under new layers have."""

    freeze: Literal["layer2", "layer1", "stem", "none"] = Field(
        "layer1",
        description="What of the backbone keeps its initial weights: everything up to layer2 or layer1, the stem "
        "alone, nothing.",
    )
    batch_norm: Literal["running", "batch"] = Field(
        "running",
        description="BatchNorm of the backbone: running (the initial statistics, always) or batch (statistics are "
        "gathered in training, stored, and used from then on).",
    )


class CamTrain(Training):
    """Training of the classifier (docs/method.md, 1: multi-label soft margin, random resize, flip and crop)."""

    long_side: tuple[int, int] = Field(
        (320, 640), description="The photo's long side is drawn uniformly from this range (pixels)."
    )
    lr: float = Field(0.1, gt=0, le=10, description="Learning rate of the backbone.")
    lr_classifier: float = Field(1.0, gt=0, le=100, description="Learning rate of the classifier layer.")
    freeze: Literal["layer2", "stem", "none"] = Field(
        "layer2",
        description="What keeps its pretrained weights: everything up to layer2, the stem alone, nothing.",
    )
    batch_norm: Literal["running", "batch"] = Field(
        "running",
        description="BatchNorm: running (the pretrained statistics, always) or batch (statistics are gathered in "
        "training, stored, and used from then on).",
    )

    @model_validator(mode="after")
    def _ranges(self) -> CamTrain:
        check_range("long_side", self.long_side, 16, 8192)
        return self


class IrnetTrain(Training):
    """Training of IRNet's two heads, on the images that have labels (docs/method.md, 4)."""

    scale: tuple[float, float] = Field(
        (0.5, 1.5), description="Random scale of the photo, uniform in this range."
    )
    lr_boundary: float = Field(0.1, gt=0, le=100, description="Learning rate of the boundary head.")
    lr_displacement: float = Field(1.0, gt=0, le=100, description="Learning rate of the displacement head.")

    @model_validator(mode="after")
    def _ranges(self) -> IrnetTrain:
        check_range("scale", self.scale, 0.05, 8)
        return self


def check_range(key: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Raise ValueError unless bounds are [low, high] within low and high."""
    if not low <= bounds[0] <= bounds[1] <= high:
        raise ValueError(f"{key} {list(bounds)} must be [low, high] with {low} ≤ low ≤ high ≤ {high}")


def classifier_rate(*, batch: int, classes: int) -> float:
    """Share of the paper's learning rates (0.1 and 1, at batch 16 and 20 classes) that fits a classifier's training.

    The loss is a mean over classes: with fewer of them each weighs more.
    """
    return batch / PAPER_BATCH * min(1, classes / PAPER_CLASSES)
