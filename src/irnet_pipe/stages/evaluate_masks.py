"""evaluate_masks: the masks of a variant or a segmenter against ground truth, as JSON.

Void pixels are left out of mIoU and count as background in masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.masks import read_instances, semantic_map
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.evaluation.figures import instance_figures, scores_of, semantic_figures
from irnet_pipe.evaluation.ground_truth import GroundTruth, open_truth
from irnet_pipe.evaluation.instance import InstanceEvaluator
from irnet_pipe.evaluation.mask_set import make_mask_set, overlaps
from irnet_pipe.evaluation.semantic import SemanticEvaluator
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write scores, as shares of 1."""
    truth = open_truth(job.truth, root=job.root, class_names=job.fact("classes"))
    images = [entry for entry in job.images if entry.image_id in truth]
    figures = _score(job, images, truth)
    if "learnt_from" in job.record.spec:
        figures["learnt_from"] = job.fact("learnt_from")
    write_json(job.output, job.record, scores_of(job.fact("variant"), images, figures))


def _score(job: Job, images: Sequence[ImageEntry], truth: GroundTruth) -> dict[str, Any]:
    names = job.fact("classes")
    semantic = SemanticEvaluator(1 + len(names), void=truth.void_label)
    instance = InstanceEvaluator(len(names), thresholds=job.setting("evaluation.iou"))
    held, shards = job.masks(job.fact("variant"))
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
        figures["semantic"] = semantic_figures(semantic.result(), class_names=names)
    if "instance" in held:
        figures["instance"] = instance_figures(instance.result(), class_names=names)
    return figures
