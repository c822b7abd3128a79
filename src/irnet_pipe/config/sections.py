"""The typed configuration: one model per section, every key with description, unit and range.

What changes results is *science* and becomes part of the recipes; what does not (where files lie, workers, device)
is marked `runtime`. The default YAML, the JSON schema and the key table in the docs are generated from these models.
Unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from irnet_pipe.config.affinitynet import AffinityNetSection
from irnet_pipe.config.crf import Crf
from irnet_pipe.config.presets import PresetName
from irnet_pipe.config.report import Report
from irnet_pipe.config.section import (
    AUTO,
    Backbone,
    Fraction,
    OptionalText,
    Precision,
    Section,
    Sweep,
    Threshold,
    Variant,
    none_word,
    runtime,
)
from irnet_pipe.config.segmenters import DeepLab, MaskRcnn, Segmenter, SegmenterModel
from irnet_pipe.config.tables import Tables
from irnet_pipe.config.trainings import CamTrain, IrnetTrain

CHOSEN = "auto has a stage choose it for boundary and full, without ground truth (docs/thresholds.md); 0.25 for cam."
"""What the keys of thresholds of masks say."""

MINED = "auto has a stage choose it, without ground truth (docs/thresholds.md)."
"""What the keys of thresholds of relations say."""


class Dataset(Section):
    """The user's photos and image-level labels."""

    root: OptionalText = runtime(
        None, "Folder that holds the photos; all other paths of this section are relative to it."
    )
    format: Literal["auto", "voc", "coco", "csv", "folders"] = Field(
        "auto",
        description="Where labels come from: voc (XML annotations), coco (json), csv (CSV or TSV table), folders (one "
        "folder per class). auto recognises the layout.",
    )
    photos: OptionalText = Field(
        None,
        description="Folder of the photos under root; by default the usual one of the format (JPEGImages, images) or "
        "root itself.",
    )
    labels: OptionalText = Field(
        None,
        description="File or folder of the labels; by default the usual one of the format (Annotations, labels.csv, "
        "image_labels.csv, annotations.json).",
    )
    classes: Annotated[tuple[str, ...] | None, BeforeValidator(none_word)] = Field(
        None,
        description="Class names in the order of class_id. By default: the 20 VOC classes in their usual order where "
        "XML annotations name no others, the categories of a COCO file, else the names found, sorted.",
    )
    train: str = Field(
        "all", description="Images that train the networks: a list file (one image_id a line), or 'all'."
    )
    label: OptionalText = Field(
        None, description="Images that get masks: a list file or 'all'. By default the training list."
    )
    evaluate: OptionalText = Field(
        None, description="Images scored against ground truth: a list file, 'all' (those labelled), or none."
    )
    ground_truth: OptionalText = Field(
        None,
        description="Ground truth for evaluation alone: a COCO json, or the folder that holds SegmentationClass and "
        "SegmentationObject. By default root where it has these folders.",
    )
    negatives: Literal["use", "drop"] = Field(
        "use",
        description="Training images without any label: use (they train the classifier, never IRNet, and get empty "
        "masks) or drop.",
    )
    missing: Literal["error", "negative", "predict"] = Field(
        "error",
        description="Images that have no label row or XML: error; negative (no class is in them); predict (outside of "
        "the training list alone: classes by the classifier, announced in every output).",
    )
    predict_threshold: Fraction = Field(
        0.5,
        description="With missing: predict, the classifier's probability from which a class counts as present.",
    )
    working_long_side: Annotated[
        Annotated[int, Field(ge=16, le=16384)] | None, BeforeValidator(none_word)
    ] = Field(
        512,
        description="Photos with a longer side are processed at this long side (pixels); masks come back at the "
        "photo's own size. none: no bound.",
    )
    max_pixels: int = Field(
        64_000_000,
        ge=256,
        le=2**31,
        description="Photos with more pixels are refused: a guard against image bombs.",
    )


class CamInfer(Section):
    """Multi-scale class activation maps."""

    scales: tuple[Annotated[float, Field(gt=0, le=8)], ...] = Field(
        (1.0, 0.5, 1.5, 2.0),
        min_length=1,
        max_length=16,
        description="Scales of the photo; each with its mirror.",
    )
    precision: Precision = Field("bf16", description="Autocast precision of the forward pass.")


class Cam(Section):
    """The classifier and its class activation maps (docs/method.md, 1, 2)."""

    backbone: Backbone = Field("resnet50", description="Backbone, of torchvision.")
    weights: OptionalText = Field(
        "IMAGENET1K_V1",
        description="Initial weights: a torchvision name, the path of a state dict in torchvision's layout, or none.",
    )
    trained: OptionalText = Field(
        None, description="A weights file of ours or of import-weights that takes the place of training."
    )
    train: CamTrain = Field(default_factory=CamTrain, description="Training.")
    infer: CamInfer = Field(default_factory=CamInfer, description="Inference.")

    @model_validator(mode="after")
    def _learnable(self) -> Cam:
        if self.weights is None and self.trained is None:
            if self.train.freeze != "none":
                raise ValueError(
                    f"weights: none with train.freeze: {self.train.freeze} cannot learn, frozen layers would stay "
                    "random; set cam.train.freeze: none, or give pretrained weights"
                )
            if self.train.batch_norm != "batch":
                raise ValueError(
                    "weights: none with train.batch_norm: running cannot learn, no statistics are known; set "
                    "cam.train.batch_norm: batch, or give pretrained weights"
                )
        return self


class Relations(Section):
    """Confident labels, from which inter-pixel relations are mined (docs/method.md, 3)."""

    fg_threshold: Threshold = Field(
        0.30, description=f"CAM score above which a pixel may be confident foreground; {MINED}"
    )
    bg_threshold: Threshold = Field(
        0.05, description=f"CAM score below which a pixel may be confident background; {MINED}"
    )
    crf: Crf = Field(default_factory=Crf, description="CRF.")

    @model_validator(mode="after")
    def _ordered(self) -> Relations:
        if self.bg_threshold == AUTO or self.fg_threshold == AUTO:
            return self
        if self.bg_threshold > self.fg_threshold:
            raise ValueError(
                f"bg_threshold {self.bg_threshold} is above fg_threshold {self.fg_threshold}; no pixel between the "
                "two could be neutral: lower bg_threshold"
            )
        return self


class IrnetInfer(Section):
    """Boundary map and displacement field of a photo."""

    canvas: int = Field(
        512,
        ge=32,
        le=8192,
        multiple_of=16,
        description="Side of the square canvas a photo is padded to (pixels; GroupNorm sees the padding, so this "
        "changes results). Larger photos take the next multiple of 16.",
    )
    precision: Precision = Field("bf16", description="Autocast precision of the forward pass.")


class Irnet(Section):
    """IRNet: class boundaries and displacement field (docs/method.md, 4)."""

    backbone: Backbone = Field("resnet50", description="Backbone, of torchvision.")
    weights: OptionalText = Field(
        "IMAGENET1K_V1",
        description="Frozen features: a torchvision name, the path of a state dict, or `cam` (the features of the "
        "classifier just trained).",
    )
    trained: OptionalText = Field(
        None, description="A weights file of ours or of import-weights that takes the place of training."
    )
    radius: int = Field(
        10, ge=2, le=32, description="Pairs of pixels nearer than this (strides of 4) are related."
    )
    train: IrnetTrain = Field(default_factory=IrnetTrain, description="Training.")
    infer: IrnetInfer = Field(default_factory=IrnetInfer, description="Inference.")

    @model_validator(mode="after")
    def _features(self) -> Irnet:
        if self.weights is None and self.trained is None:
            raise ValueError(
                "weights: none would freeze random features under the heads; set irnet.weights: cam (the features of "
                "the classifier), a torchvision name or a path"
            )
        return self

    @model_validator(mode="after")
    def _pairs(self) -> Irnet:
        least = 4 * (2 * self.radius - 2) + 1
        if self.train.crop < least:
            raise ValueError(
                f"train.crop is {self.train.crop}, but radius {self.radius} needs {least} or more, so that a pair of "
                "pixels fits into it; raise crop or lower radius"
            )
        return self


class Displacement(Section):
    """Refinement of the displacement field and its clusters (docs/method.md, 5)."""

    iterations: int = Field(300, ge=1, le=10_000, description="Steps along the field, at most.")
    threshold: float = Field(
        2.5, gt=0, le=100, description="Pixels with a shorter displacement (strides of 4) may be centroids."
    )


class RandomWalk(Section):
    """Propagation of scores within boundaries (docs/method.md, 6)."""

    radius: int = Field(5, ge=2, le=10, description="Neighbourhood of the walk (strides of 4).")
    beta: float = Field(10, ge=1, le=20, description="Exponent of the affinities.")
    exp_times: int = Field(8, ge=0, le=10, description="The walk takes 2^exp_times steps.")


class ExportInstance(Section):
    """Pseudo instance masks (docs/method.md, 7)."""

    bg_threshold: Threshold = Field(0.25, description=f"Score of the background; {CHOSEN}")
    min_fragment: Fraction = Field(
        0.01, description="Components under this share of the image get score 0 and are left out of exports."
    )


class ExportSemantic(Section):
    """Pseudo semantic masks (docs/method.md, 7)."""

    bg_threshold: Threshold = Field(0.25, description=f"Score of the background; {CHOSEN}")


class Export(Section):
    """From score maps to masks."""

    variants: tuple[Variant, ...] = Field(
        ("full",),
        min_length=1,
        description="The paper's ablation: cam (connected components of the CAM), boundary (random walk, instances by "
        "connected components), full (instances by displacement); and for comparison affinitynet (the random walk of "
        "AffinityNet). The last one named is published as masks.json.",
    )
    instance: ExportInstance = Field(default_factory=ExportInstance, description="Instance masks.")
    semantic: ExportSemantic = Field(default_factory=ExportSemantic, description="Semantic masks.")

    @model_validator(mode="after")
    def _distinct(self) -> Export:
        if len(set(self.variants)) != len(self.variants):
            raise ValueError(f"variants {list(self.variants)} holds a variant twice; name each once")
        return self


class Evaluation(Section):
    """Scores against ground truth."""

    cam_bg_threshold: Fraction = Field(0.15, description="Background score at which raw CAMs are scored.")
    iou: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.25, 0.5, 0.7, 0.75), min_length=1, description="IoU thresholds of the average precision."
    )


class Shards(Section):
    """Work is cut by a hash of the image_id."""

    n: int = Field(8, ge=1, le=4096, description="Shards of the training images, and of those only labelled.")


class Runtime(Section):
    """How a run is carried out; nothing here changes a result."""

    results: str = runtime("results", "Folder of the artifacts.")
    outputs: str = runtime("outputs", "Folder of what people open: outputs/<run>/.")
    workers: int = runtime(2, "Processes that load photos for training.", ge=0, le=256)
    device: str = runtime("auto", "auto, cpu, cuda or cuda:N.", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    devices_per_training: int = runtime(
        1,
        "CUDA devices, or processes on a CPU, that share each batch of a training; they must divide it.",
        ge=1,
        le=1024,
    )
    checkpoint_minutes: float = runtime(
        5, "Training is saved this often, and after each epoch.", gt=0, le=1440
    )
    scratch: OptionalText = runtime(
        None,
        "Folder of the node that runs a job, such as $TMPDIR: shards are read and written there, and copied.",
    )
    whole_graph: bool = runtime(False, "Full graph for --report, --dag and --summary; never for a run.")


class Config(Section):
    """The configuration of one run."""

    run: str = Field(
        "run",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Name of the run: its results appear in outputs/<run>/.",
        json_schema_extra={"runtime": True},
    )
    preset: Annotated[PresetName | None, BeforeValidator(none_word)] = Field(
        None,
        description="For keys that the config does not set: the schedules of the paper, paper_default or paper_log; or "
        "small, segmenters at 160 px for a short training.",
        json_schema_extra={"runtime": True},
    )
    sweep: Sweep = Field(
        {},
        description="Several settings in one run: dotted key → list of values; every combination is planned, what "
        "settings share runs once, and each is published to outputs/<run>/<key>=<value>/.",
        examples=[{"seed": [0, 1, 2], "export.instance.bg_threshold": [0.2, 0.3]}],
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the trainings.")
    shards: Shards = Field(default_factory=Shards, description="Shards.")
    dataset: Dataset = Field(default_factory=Dataset, description="Photos and labels.")
    review: OptionalText = Field(
        None,
        description="What a person found in the gallery of a report: the review.json that was saved there. Unusable "
        "images are left out, labels corrected, and masks marked wrong left out of exports.",
    )
    cam: Cam = Field(default_factory=Cam, description="Classifier.")
    relations: Relations = Field(default_factory=Relations, description="Relations.")
    irnet: Irnet = Field(default_factory=Irnet, description="IRNet.")
    displacement: Displacement = Field(default_factory=Displacement, description="Displacement.")
    random_walk: RandomWalk = Field(default_factory=RandomWalk, description="Random walk.")
    affinitynet: AffinityNetSection = Field(
        default_factory=AffinityNetSection,
        description="AffinityNet, where a variant of this name is asked for.",
    )
    export: Export = Field(default_factory=Export, description="Export.")
    segmenters: tuple[Segmenter, ...] = Field(
        (),
        description="Networks that are trained on the masks and scored beside them: maskrcnn "
        "(instances), deeplab (classes).",
    )
    maskrcnn: MaskRcnn = Field(default_factory=MaskRcnn, description="Mask R-CNN.")
    deeplab: DeepLab = Field(default_factory=DeepLab, description="DeepLabV3.")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="Evaluation.")
    report: Report = Field(default_factory=Report, description="Report.")
    tables: Tables = Field(default_factory=Tables, description="The paper's tables.")
    runtime: Runtime = Field(default_factory=Runtime, description="Runtime.")

    @property
    def mask_sources(self) -> set[str]:
        """Variants whose masks are exported or learnt from; and truth, where it is learnt from."""
        learnt = {getattr(self, name).training.source for name in self.segmenters}
        return {*self.export.variants, *learnt}

    @model_validator(mode="after")
    def _same_backbone(self) -> Config:
        if self.irnet.weights == "cam" and self.irnet.backbone != self.cam.backbone:
            raise ValueError(
                f"irnet.weights: cam takes the classifier's features, so irnet.backbone ({self.irnet.backbone}) must "
                f"be cam.backbone ({self.cam.backbone})"
            )
        asked_for = ["affinitynet"] * ("affinitynet" in self.mask_sources)
        for name in (*asked_for, *self.segmenters):
            model: SegmenterModel | AffinityNetSection = getattr(self, name)
            if model.weights == "cam" and model.backbone != self.cam.backbone:
                raise ValueError(
                    f"{name}.weights: cam takes the classifier's features, so {name}.backbone ({model.backbone}) must "
                    f"be cam.backbone ({self.cam.backbone})"
                )
        return self

    @model_validator(mode="after")
    def _distinct_segmenters(self) -> Config:
        if len(set(self.segmenters)) != len(self.segmenters):
            raise ValueError(f"segmenters {list(self.segmenters)} holds one twice; name each once")
        return self
