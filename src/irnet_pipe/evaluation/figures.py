"""Figures of one set of masks as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.evaluation.instance import AveragePrecision
from irnet_pipe.evaluation.semantic import MeanIou


def scores_of(variant: str, images: Sequence[ImageEntry], figures: dict[str, Any]) -> dict[str, Any]:
    """Content of an artifact of kind scores: the figures of a variant over images with ground truth."""
    return {
        "variant": variant,
        "images": len(images),
        "images_with_predicted_classes": sum(entry.labels is None for entry in images),
        "figures": figures,
    }


def semantic_figures(result: MeanIou, *, class_names: Sequence[str]) -> dict[str, Any]:
    """MIoU and the IoU of background and each class, as shares of 1; null where a class is in no ground truth."""
    return {"mean": _number(result.mean), "classes": _by_class(["background", *class_names], result.iou)}


def instance_figures(result: AveragePrecision, *, class_names: Sequence[str]) -> dict[str, Any]:
    """AP25, AP50, …: mean and classes, as shares of 1; null where a class is in no ground truth."""
    return {
        f"AP{round(100 * threshold):02d}": {"mean": _number(mean), "classes": _by_class(class_names, ap)}
        for threshold, mean, ap in zip(result.thresholds, result.mean, result.ap, strict=True)
    }


def _by_class(names: Sequence[str], values: Iterable[float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
