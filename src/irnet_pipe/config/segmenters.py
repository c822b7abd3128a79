"""The sections maskrcnn and deeplab: segmenters that learn from the masks of a variant, or from ground truth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from irnet_pipe.config.crf import ProbabilityCrf
from irnet_pipe.config.section import Backbone, Fraction, OptionalText, Precision, Section
from irnet_pipe.config.trainings import BackboneTraining, check_range

Segmenter = Literal["maskrcnn", "deeplab"]
MaskSource = Literal["cam", "affinitynet", "boundary", "full", "truth"]


class SegmenterTraining(BackboneTraining):
    """What the trainings of all segmenters have."""

    source: MaskSource = Field(
        "full",
        description="What it learns from, on the training images that have labels: masks of a variant, which are made "
        "for them whether or not export.variants and dataset.label name them; or truth, dataset.ground_truth: the "
        "upper bound, announced wherever its figures appear.",
    )
    iterations: int = Field(18_000, ge=1, le=10_000_000, description="Steps of the training.")
    batch: int = Field(4, ge=1, le=1024, description="Photos per step.")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="Optimiser.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD.")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Weight decay.")
    precision: Precision = Field(
        "bf16", description="Autocast precision of the network; boxes and losses are computed in fp32."
    )
    threads: int = Field(
        2,
        ge=1,
        le=256,
        description="Threads of torch on the CPU, and cores that the job takes of the machine; another number changes "
        "the last bits of gradients.",
    )


class MaskRcnnTrain(SegmenterTraining):
    """Training of Mask R-CNN: whole photos, random size and flip."""

    min_score: Fraction = Field(
        0, description="Instances of a lower score are no examples; fragments of score 0 never are."
    )
    lr: float = Field(0.01, gt=0, le=10, description="Learning rate.")
    schedule: Literal["steps", "polynomial", "one_cycle"] = Field(
        "steps",
        description="Learning rate: a tenth after each milestone; lr·(1−t/T)^0.9; or one cycle (cosine, warm-up of "
        "30 %).",
    )
    milestones: tuple[int, ...] = Field(
        (12_000, 16_000),
        description="With schedule: steps, after how many iterations; ascending, those of a training that is not as "
        "long never come.",
    )
    warm_up: int = Field(
        500, ge=0, le=1_000_000, description="Iterations in which the learning rate rises from 0, linearly."
    )
    regions: int = Field(
        512,
        ge=4,
        le=4096,
        description="Regions of a photo that the heads learn on, a quarter of them instances.",
    )
    short_side: tuple[int, int] = Field(
        (512, 512), description="The photo's short side is drawn uniformly from this range (pixels)."
    )
    max_side: int = Field(
        800, ge=32, le=8192, description="Photos whose long side would be longer are scaled to it (pixels)."
    )

    @model_validator(mode="after")
    def _ranges(self) -> MaskRcnnTrain:
        check_range("short_side", self.short_side, 16, 8192)
        if self.max_side < self.short_side[1]:
            raise ValueError(
                f"max_side {self.max_side} is below short_side {self.short_side[1]}; raise it to this or more"
            )
        if any(b <= a for a, b in zip((0, *self.milestones), self.milestones, strict=False)):
            raise ValueError(f"milestones {list(self.milestones)} must be above 0 and ascend; sort them")
        return self


class SegmenterInference(Section):
    """What the inferences of all segmenters have."""

    precision: Precision = Field("bf16", description="Autocast precision of the forward pass.")


class MaskRcnnInfer(SegmenterInference):
    """Instances of a photo by Mask R-CNN."""

    short_side: int = Field(512, ge=16, le=8192, description="Short side at which photos are seen (pixels).")
    max_side: int = Field(
        800, ge=32, le=8192, description="Photos whose long side would be longer are scaled to it (pixels)."
    )
    nms: float = Field(
        0.5, gt=0, le=1, description="Of boxes of a class that overlap more (IoU), the best one is kept."
    )
    min_score: Fraction = Field(0.05, description="Detections of a lower score are left out.")
    detections: int = Field(100, ge=1, le=10_000, description="Detections of an image, at most.")


class DeepLabTrain(SegmenterTraining):
    """Training of DeepLabV3: random scale, flip and crop."""

    iterations: int = Field(30_000, ge=1, le=10_000_000, description="Steps of the training.")
    batch: int = Field(
        16, ge=2, le=1024, description="Photos per step; one has no statistics for BatchNorm of the head."
    )
    lr: float = Field(0.007, gt=0, le=10, description="Learning rate of the backbone.")
    lr_head: float = Field(0.007, gt=0, le=100, description="Learning rate of the head.")
    schedule: Literal["polynomial", "one_cycle"] = Field(
        "polynomial",
        description="Learning rate: lr·(1−t/T)^0.9, or one cycle (cosine, warm-up of 30 %).",
    )
    crop: int = Field(513, ge=32, le=4096, description="Side of the random square crop (pixels).")
    scale: tuple[float, float] = Field(
        (0.5, 2.0), description="Random scale of the photo, uniform in this range."
    )

    @model_validator(mode="after")
    def _ranges(self) -> DeepLabTrain:
        check_range("scale", self.scale, 0.05, 8)
        return self


class DeepLabInfer(SegmenterInference):
    """Class of each pixel of a photo by DeepLabV3."""

    scales: tuple[Annotated[float, Field(gt=0, le=8)], ...] = Field(
        (0.5, 0.75, 1.0, 1.25, 1.5),
        min_length=1,
        max_length=16,
        description="Scales of the photo; each with its mirror.",
    )
    crf: ProbabilityCrf = Field(default_factory=ProbabilityCrf, description="CRF.")


class SegmenterModel(Section):
    """What the sections of all segmenters have."""

    backbone: Backbone = Field("resnet50", description="Backbone, of torchvision.")
    weights: OptionalText = Field(
        "IMAGENET1K_V1",
        description="Initial weights of the backbone: a torchvision name, the path of a state dict in torchvision's "
        "layout, `cam` (those of the classifier of the run), or none.",
    )

    @property
    def training(self) -> SegmenterTraining:
        """Its section `train`."""
        raise NotImplementedError

    @property
    def inference(self) -> SegmenterInference:
        """Its section `infer`."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _learnable(self) -> SegmenterModel:
        training = self.training
        if self.weights is None:
            if training.freeze != "none":
                raise ValueError(
                    f"weights: none with train.freeze: {training.freeze} cannot learn, frozen layers would stay "
                    "random; set train.freeze: none, or give pretrained weights"
                )
            if training.batch_norm != "batch":
                raise ValueError(
                    "weights: none with train.batch_norm: running cannot learn, no statistics are known; set "
                    "train.batch_norm: batch, or give pretrained weights"
                )
        return self


class MaskRcnn(SegmenterModel):
    """Mask R-CNN with a feature pyramid, of torchvision (docs/segmenters.md)."""

    train: MaskRcnnTrain = Field(default_factory=MaskRcnnTrain, description="Training.")
    infer: MaskRcnnInfer = Field(default_factory=MaskRcnnInfer, description="Inference.")

    @property
    def training(self) -> MaskRcnnTrain:
        """Its section `train`."""
        return self.train

    @property
    def inference(self) -> MaskRcnnInfer:
        """Its section `infer`."""
        return self.infer


class DeepLab(SegmenterModel):
    """DeepLabV3, of torchvision (docs/segmenters.md)."""

    train: DeepLabTrain = Field(default_factory=DeepLabTrain, description="Training.")
    infer: DeepLabInfer = Field(default_factory=DeepLabInfer, description="Inference.")

    @property
    def training(self) -> DeepLabTrain:
        """Its section `train`."""
        return self.train

    @property
    def inference(self) -> DeepLabInfer:
        """Its section `infer`."""
        return self.infer
