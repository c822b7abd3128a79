"""evaluate_masks: raw CAMs, and the masks of every variant and segmenter against ground truth, as JSON.

Besides the report, and trainings that are told to learn from it, the only stage that opens ground truth. Void pixels
are left out of mIoU and count as background in masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.masks import read_instances, semantic_map
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.evaluation.ground_truth import GroundTruth, open_truth
from irnet_pipe.evaluation.instance import AveragePrecision, InstanceEvaluator
from irnet_pipe.evaluation.mask_set import make_mask_set, overlaps
from irnet_pipe.evaluation.semantic import MeanIou, SemanticEvaluator
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.masks import label_pixels
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write scores, as shares of 1; null where a class is in no ground truth."""
    torch.set_num_threads(1)
    truth = open_truth(job.truth, root=job.root, class_names=job.fact("classes"))
    images = [entry for entry in job.images if entry.image_id in truth]
    scores = {
        "images": len(images),
        "images_with_predicted_classes": sum(entry.labels is None for entry in images),
        "cam": {"semantic": _score_cams(job, images, truth)},
        "variants": {
            variant: _score_variant(job, images, truth, variant) for variant in job.fact("variants")
        },
    }
    write_json(job.output, job.record, scores)


def _score_cams(job: Job, images: Sequence[ImageEntry], truth: GroundTruth) -> dict[str, Any]:
    """MIoU of the arg-max over background score and highres CAM."""
    background = job.setting("evaluation")["cam_bg_threshold"]
    evaluator = SemanticEvaluator(1 + len(job.fact("classes")), void=truth.void_label)
    with ShardSet(job.parents("infer_cam"), kind="cam") as cams:
        for entry in job.progress(images, total=len(images)):
            size, sizes = (entry.height, entry.width), cams.size(entry.image_id)
            class_id, maps = read_class_maps(cams, entry.image_id)
            local = np.zeros(size, dtype=np.int64)
            if maps:
                cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=sizes.working)
                local = label_pixels(cam, size=sizes.working, full_size=size, bg_threshold=background)[
                    0
                ].numpy()
            labels = np.concatenate([[0], class_id + 1])[local]
            evaluator.add(labels, truth.label_map(entry.image_id, size=size))
    return _semantic(job, evaluator.result())


def _score_variant(
    job: Job, images: Sequence[ImageEntry], truth: GroundTruth, variant: str
) -> dict[str, Any]:
    names = job.fact("classes")
    semantic = SemanticEvaluator(1 + len(names), void=truth.void_label)
    instance = InstanceEvaluator(len(names), thresholds=job.setting("evaluation")["iou"])
    held, shards = job.masks(variant)
    with ShardSet(shards, kind="masks") as masks:
        for entry in job.progress(images, total=len(images)):
            size = (entry.height, entry.width)
            if "semantic" in held:
                semantic.add(semantic_map(masks, entry), truth.label_map(entry.image_id, size=size))
            if "instance" in held:
                instances = read_instances(masks, entry.image_id)
                found = make_mask_set(instances.runs, instances.class_id, size=size, score=instances.score)
                true = truth.masks(entry.image_id, size=size).without_crowds()
                instance.add_overlaps(overlaps(found, true), found=found, truth=true)
    figures: dict[str, Any] = {}
    if "semantic" in held:
        figures["semantic"] = _semantic(job, semantic.result())
    if "instance" in held:
        figures["instance"] = _instance(job, instance.result())
    if variant in job.record.spec.get("learnt_from", {}):
        figures["learnt_from"] = job.fact("learnt_from")[variant]
    return figures


def _semantic(job: Job, result: MeanIou) -> dict[str, Any]:
    names = ["background", *job.fact("classes")]
    return {"mean": _number(result.mean), "classes": _by_class(names, result.iou)}


def _instance(job: Job, result: AveragePrecision) -> dict[str, Any]:
    return {
        f"AP{round(100 * threshold):02d}": {
            "mean": _number(mean),
            "classes": _by_class(job.fact("classes"), ap),
        }
        for threshold, mean, ap in zip(result.thresholds, result.mean, result.ap, strict=True)
    }


def _by_class(names: Sequence[str], values: Iterable[float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
