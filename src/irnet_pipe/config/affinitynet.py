"""The section affinitynet: the method that masks of this name are made by, for comparison."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from irnet_pipe.config.crf import AffinityCrf
from irnet_pipe.config.section import Backbone, OptionalText, Precision, Section
from irnet_pipe.config.trainings import BackboneTraining, Training
from irnet_pipe.numerics.strides import AFFINITYNET_STRIDE


class AffinityRelations(Section):
    """Scores of background and classes, from which confident labels are made (docs/affinitynet.md)."""

    alpha_low: float = Field(
        4, gt=0, le=1000, description="Exponent of the background score that gives much background."
    )
    alpha_high: float = Field(
        32, gt=0, le=1000, description="Exponent of the background score that gives little background."
    )
    crf: AffinityCrf = Field(default_factory=AffinityCrf, description="CRF.")

    @model_validator(mode="after")
    def _ordered(self) -> AffinityRelations:
        if self.alpha_low > self.alpha_high:
            raise ValueError(
                f"alpha_low {self.alpha_low} is above alpha_high {self.alpha_high}; no pixel between the two could be "
                "neutral: lower alpha_low"
            )
        return self


class AffinityNetTrain(BackboneTraining, Training):
    """Training of AffinityNet, on the images that have labels: colours, flip and crop at random."""

    epochs: int = Field(8, ge=1, le=1000, description="Passes over the training images.")
    batch: int = Field(8, ge=1, le=4096, description="Images per step; an incomplete last batch is dropped.")
    crop: int = Field(
        448,
        ge=32,
        le=4096,
        multiple_of=AFFINITYNET_STRIDE,
        description="Side of the random square crop (pixels).",
    )
    momentum: float = Field(
        5e-4,
        ge=0,
        lt=1,
        description="Momentum of SGD. The reference passes its weight decay here (5e-4); its learning rates were "
        "tuned that way.",
    )
    weight_decay: float = Field(5e-4, ge=0, le=1, description="Weight decay.")
    lr: float = Field(0.1, gt=0, le=10, description="Learning rate of the backbone.")
    lr_head: float = Field(1.0, gt=0, le=100, description="Learning rate of the new layers.")
    colour_jitter: tuple[
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=1)],
        Annotated[float, Field(ge=0, le=0.5)],
    ] = Field(
        (0.3, 0.3, 0.3, 0.1),
        description="Random change of brightness, contrast and saturation (factors 1 ± this), and of hue (± this, in "
        "turns).",
    )


class AffinityNetInfer(Section):
    """Features of a photo."""

    precision: Precision = Field(
        "bf16", description="Autocast precision of the forward pass; the walk is computed in fp32."
    )


class AffinityWalk(Section):
    """Propagation of scores among similar features."""

    alpha: float = Field(16, gt=0, le=1000, description="Exponent of the background score.")
    beta: float = Field(8, ge=1, le=20, description="Exponent of the affinities.")
    exp_times: int = Field(8, ge=0, le=10, description="The walk takes 2^exp_times steps.")


class AffinityNetSection(Section):
    """AffinityNet (Ahn and Kwak 2018), for comparison (docs/affinitynet.md)."""

    backbone: Backbone = Field("resnet50", description="Backbone, of torchvision.")
    weights: OptionalText = Field(
        "IMAGENET1K_V1",
        description="Initial weights of the backbone: a torchvision name, the path of a state dict in torchvision's "
        "layout, or `cam` (those of the classifier of the run).",
    )
    radius: int = Field(
        5, ge=2, le=32, description="Pairs of pixels nearer than this (strides of 8) are related."
    )
    relations: AffinityRelations = Field(default_factory=AffinityRelations, description="Confident labels.")
    train: AffinityNetTrain = Field(default_factory=AffinityNetTrain, description="Training.")
    infer: AffinityNetInfer = Field(default_factory=AffinityNetInfer, description="Inference.")
    walk: AffinityWalk = Field(default_factory=AffinityWalk, description="Random walk.")

    @model_validator(mode="after")
    def _features(self) -> AffinityNetSection:
        if self.weights is None:
            raise ValueError(
                "weights: none would learn affinities from nothing; set affinitynet.weights: cam (the features of the "
                "classifier), a torchvision name or a path"
            )
        return self

    @model_validator(mode="after")
    def _pairs(self) -> AffinityNetSection:
        least = AFFINITYNET_STRIDE * (2 * self.radius - 1)
        if self.train.crop < least:
            raise ValueError(
                f"train.crop is {self.train.crop}, but radius {self.radius} needs {least} or more, so that a pair of "
                "pixels fits into it; raise crop or lower radius"
            )
        return self
