"""Predictions against ground truth by all protocols, one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.data.labels.voc import VOC_CLASSES
from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.boundary import BoundaryEvaluator
from irnet_pipe.evaluation.coco_file import CocoFile
from irnet_pipe.evaluation.coco_protocol import CocoEvaluator, CocoScores
from irnet_pipe.evaluation.coco_source import CocoPredictions, CocoTruthSource
from irnet_pipe.evaluation.error_kinds import ErrorCounter
from irnet_pipe.evaluation.instance import AveragePrecision, InstanceEvaluator
from irnet_pipe.evaluation.mask_set import FloatArray, IntArray, MaskSet, overlaps
from irnet_pipe.evaluation.reliability import ReliabilityBin, reliability_curve
from irnet_pipe.evaluation.semantic import MeanIou, SemanticEvaluator
from irnet_pipe.evaluation.sources import ImageKey, LabelArray, PredictionSource, TruthSource
from irnet_pipe.evaluation.voc_folder import VocFolder, VocPredictions, VocTruthSource

Progress = Callable[[Sequence[ImageKey]], Iterable[ImageKey]]


@dataclass(frozen=True)
class InstanceScores:
    """Scores of instances.

    Attributes:
        voc: by the VOC protocol.
        voc_range: (worst, best) over all orders of equals, each (thresholds, classes).
        coco: by the COCO protocol.
        error_counts: (kinds, classes), see error_kinds.py.
        reliability: by score; empty where the predictions have none.
    """

    voc: AveragePrecision
    voc_range: tuple[FloatArray, FloatArray]
    coco: CocoScores
    error_counts: IntArray
    reliability: list[ReliabilityBin]


@dataclass(frozen=True)
class SemanticScores:
    """Scores of label maps: IoU, (labels, labels + 1) confusion of pixels, (labels,) boundary F."""

    iou: MeanIou
    confusion: IntArray
    boundary_f: FloatArray


@dataclass(frozen=True)
class Comparison:
    """All scores; instances and label maps are None where they were not compared."""

    predictions: PredictionSource
    truth: TruthSource
    instances: InstanceScores | None
    semantic: SemanticScores | None


def open_sources(
    predictions: Path,
    truth: Path,
    *,
    names: Path | None = None,
    class_names: Sequence[str] | None = None,
    subset: bool = False,
    min_score: float = 0.5,
) -> tuple[PredictionSource, TruthSource]:
    """Open predictions and ground truth, each a COCO json or a folder of VOC PNGs.

    Args:
        predictions: COCO results, an object of images, categories and scored annotations, or a folder.
        truth: COCO json or folder.
        names: json with images and categories that the ids of COCO results refer to; else those of the ground truth.
        class_names: of the palette of a folder of ground truth; those of PASCAL VOC if None.
        subset: whether predictions for images that the ground truth lacks are left out; else they are an error.
        min_score: score from which on instances of COCO results are painted on label maps.

    Raises:
        InputError: files that cannot be used, or that do not belong together.
    """
    true: TruthSource
    if truth.is_dir():
        palette = tuple(class_names or VOC_CLASSES)
        true = VocTruthSource(VocFolder(truth, class_names=palette), class_names=palette)
    elif class_names is not None:
        raise InputError(f"{truth}: names its classes itself; leave --classes out")
    else:
        true = CocoTruthSource(CocoFile(truth))
    if predictions.is_dir():
        return VocPredictions(VocFolder(predictions, class_names=true.class_names), true, subset=subset), true
    listed = CocoFile(names) if names else None
    return CocoPredictions(
        CocoFile(predictions), true, names=listed, subset=subset, min_score=min_score
    ), true


def compare(
    predictions: PredictionSource,
    truth: TruthSource,
    *,
    instances: bool = True,
    semantic: bool = True,
    progress: Progress = iter,
) -> Comparison:
    """Score predictions.

    Args:
        predictions: what was predicted.
        truth: the ground truth.
        instances: whether to compare instances, where both sides have them.
        semantic: whether to compare label maps.
        progress: goes through the images and tells how far it is.

    Raises:
        InputError: masks that cannot be read, or of another size than the ground truth.
    """
    n_classes = len(truth.class_names)
    by_instance = (
        _InstanceComparison(n_classes)
        if instances and truth.has_instances and predictions.has_instances
        else None
    )
    by_pixel = _PixelComparison(1 + n_classes, void=truth.void_label) if semantic else None
    for image in progress(truth.images):
        found = true = None
        size = truth.size(image)
        if by_instance:
            true = truth.masks(image)
            found = predictions.masks(image, size=size)
            by_instance.add(found, true)
        if by_pixel:
            labels = predictions.label_map(image, found, size=size)
            by_pixel.add(labels, truth.label_map(image, true))
    return Comparison(
        predictions=predictions,
        truth=truth,
        instances=by_instance.result(scored=predictions.has_scores) if by_instance else None,
        semantic=by_pixel.result() if by_pixel else None,
    )


class _InstanceComparison:
    def __init__(self, n_classes: int) -> None:
        self._voc, self._coco = InstanceEvaluator(n_classes), CocoEvaluator(n_classes)
        self._errors = ErrorCounter(n_classes)

    def add(self, found: MaskSet, truth: MaskSet) -> None:
        iou = overlaps(found, truth)
        matches = self._coco.add(found, truth, iou=iou)
        self._errors.add(found, truth, iou=iou, matches=matches)
        self._voc.add_overlaps(iou[:, ~truth.crowd], found=found, truth=truth.without_crowds())

    def result(self, *, scored: bool) -> InstanceScores:
        return InstanceScores(
            voc=self._voc.result(),
            voc_range=self._voc.tie_range(),
            coco=self._coco.result(),
            error_counts=self._errors.counts,
            reliability=reliability_curve(*self._coco.scored_outcomes()) if scored else [],
        )


class _PixelComparison:
    def __init__(self, n_labels: int, *, void: int) -> None:
        self._iou = SemanticEvaluator(n_labels, void=void)
        self._boundary = BoundaryEvaluator(n_labels, void=void)

    def add(self, labels: LabelArray, true: LabelArray) -> None:
        self._iou.add(labels, true)
        self._boundary.add(labels, true)

    def result(self) -> SemanticScores:
        return SemanticScores(
            iou=self._iou.result(), confusion=self._iou.confusion, boundary_f=self._boundary.result()
        )
