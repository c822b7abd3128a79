"""Rows of the evaluation: scores of 2,000 images with 10 instances each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.comparators.scores import coco_ap, confusion_miou
from benchmarks.inputs import class_maps
from benchmarks.paired import Disagreement, Row, Setting
from irnet_pipe.evaluation.instance import InstanceEvaluator
from irnet_pipe.evaluation.mask_set import make_mask_set, overlaps
from irnet_pipe.evaluation.semantic import SemanticEvaluator
from irnet_pipe.numerics.run_lengths import compress_rle, encode_rle

SIZE = (375, 500)
N_CLASSES = 20
REPEATS = 10
"""How often each made-up image occurs, every time with other scores."""

THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))


@dataclass(frozen=True)
class ScoredImage:
    """Run lengths of true instances and of detections of an image; true instances do not overlap."""

    truth: list[np.ndarray]
    truth_class: np.ndarray
    found: list[np.ndarray]
    found_class: np.ndarray
    score: np.ndarray


def ap_cases(setting: Setting) -> list[list[ScoredImage]]:
    rng = np.random.default_rng(0)
    distinct = [_image(rng) for _ in range(setting.choose(2, 20, 200))]
    images = []
    for _ in range(REPEATS):
        for truth, found in distinct:
            class_id = rng.integers(0, N_CLASSES, 10)
            wrong = rng.random(10) < 0.2
            images.append(
                ScoredImage(
                    truth,
                    class_id,
                    found,
                    (class_id + wrong) % N_CLASSES,
                    rng.permutation(10**6)[:10] / 10**6,
                )
            )
    return [images]


def _image(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Run lengths of ten ellipses in a cell each, and of the same ones moved."""
    truth, found = [], []
    for row in range(2):
        for column in range(5):
            centre = np.array([94 + 187 * row, 50 + 100 * column])
            half_axes = rng.uniform(15, 45, 2)
            truth.append(_ellipse(centre, half_axes))
            found.append(_ellipse(centre + rng.normal(0, 6, 2), half_axes * rng.uniform(0.8, 1.25, 2)))
    return truth, found


def _ellipse(centre: np.ndarray, half_axes: np.ndarray) -> np.ndarray:
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return encode_rle(((y - centre[0]) / half_axes[0]) ** 2 + ((x - centre[1]) / half_axes[1]) ** 2 < 1)


def ap_ours(images: list[ScoredImage]) -> np.ndarray:
    evaluator = InstanceEvaluator(N_CLASSES, thresholds=THRESHOLDS)
    for image in images:
        found = make_mask_set(image.found, image.found_class, size=SIZE, score=image.score)
        truth = make_mask_set(image.truth, image.truth_class, size=SIZE)
        evaluator.add_overlaps(overlaps(found, truth), found=found, truth=truth)
    return evaluator.result().ap


def ap_theirs(images: list[ScoredImage]) -> np.ndarray:
    truth, found = [], []
    for image_id, image in enumerate(images):
        for runs, class_id in zip(image.truth, image.truth_class, strict=True):
            truth.append(_annotation(runs, class_id, image_id) | {"id": len(truth) + 1, "iscrowd": 0})
        for runs, class_id, score in zip(image.found, image.found_class, image.score, strict=True):
            found.append(_annotation(runs, class_id, image_id) | {"score": float(score)})
    return coco_ap(truth, found, size=SIZE, n_classes=N_CLASSES, thresholds=THRESHOLDS)


def _annotation(runs: np.ndarray, class_id: int, image_id: int) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "category_id": int(class_id),
        "segmentation": {"size": list(SIZE), "counts": compress_rle(runs)},
        "area": int(runs[1::2].sum()),
    }


def ap_agreement(cases: Sequence[Any], ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    difference = max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))
    text = (
        f"mean AP {100 * np.mean(ours):.2f} against {100 * np.mean(theirs):.2f}, classes to {difference:.0e}"
    )
    if not difference < 2e-3:
        raise Disagreement(f"{text}; at most 2e-03")
    return text


def miou_cases(setting: Setting) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    pairs = []
    for seed in range(setting.choose(2, 20, 200)):
        labels = class_maps(N_CLASSES + 1, SIZE, seed=seed).argmax(0).numpy().astype(np.uint8)
        truth = labels.copy()
        truth[:, ::50] = 255
        pairs.append((np.roll(labels, 9, axis=1), truth))
    return [pairs * REPEATS]


def miou_ours(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    evaluator = SemanticEvaluator(N_CLASSES + 1)
    for prediction, truth in pairs:
        evaluator.add(prediction, truth)
    return evaluator.result().iou


def miou_theirs(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return confusion_miou(pairs, n_classes=N_CLASSES + 1)


def miou_agreement(cases: Sequence[Any], ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, theirs, strict=True)):
        raise Disagreement("the IoU of some class differs")
    return "equal"


ROWS = (
    Row(
        "ap",
        "AP at 10 thresholds from run lengths, 2,000 images (quick: 200) of 375×500 × 10 instances",
        "pycocotools",
        ap_cases,
        ap_ours,
        ap_theirs,
        ap_agreement,
    ),
    Row(
        "miou",
        "mIoU of 21 labels, as many label maps of 375×500",
        "a confusion matrix by np.bincount",
        miou_cases,
        miou_ours,
        miou_theirs,
        miou_agreement,
    ),
)
