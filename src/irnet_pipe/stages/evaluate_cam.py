"""evaluate_cam: raw CAMs against ground truth, as JSON; void pixels are left out.

A stage of its own, so that a change of later settings does not score the CAMs again.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.evaluation.figures import scores_of, semantic_figures
from irnet_pipe.evaluation.ground_truth import open_truth
from irnet_pipe.evaluation.semantic import SemanticEvaluator
from irnet_pipe.evaluation.tables import RAW_CAM
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.label_maps import label_pixels
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the mIoU of the arg-max over background score and highres CAM."""
    torch.set_num_threads(1)
    names, background = job.fact("classes"), job.setting("evaluation.cam_bg_threshold")
    truth = open_truth(job.truth, root=job.root, class_names=names)
    images = [entry for entry in job.images if entry.image_id in truth]
    evaluator = SemanticEvaluator(1 + len(names), void=truth.void_label)
    with ShardSet(job.parents("infer_cam"), kind="cam") as cams:
        for entry in job.progress(images, total=len(images)):
            labels = _labels(cams, entry, bg_threshold=background)
            evaluator.add(labels, truth.label_map(entry.image_id, size=labels.shape))
    figures = {"semantic": semantic_figures(evaluator.result(), class_names=names)}
    write_json(job.output, job.record, scores_of(RAW_CAM, images, figures))


def _labels(cams: ShardSet, entry: ImageEntry, *, bg_threshold: float) -> NDArray[np.int64]:
    """Label (H, W) of each pixel of the photo: 0 background, class_id + 1."""
    full_size, size = (entry.height, entry.width), cams.size(entry.image_id).working
    class_id, maps = read_class_maps(cams, entry.image_id)
    if not maps:
        return np.zeros(full_size, dtype=np.int64)
    cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=size)
    local, _ = label_pixels(cam.numpy(), size=size, full_size=full_size, bg_threshold=bg_threshold)
    labels: NDArray[np.int64] = np.concatenate([[0], class_id + 1])[local]
    return labels
