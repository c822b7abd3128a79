"""select_thresholds: scores of the background of a variant, chosen on training images without ground truth.

Of each kind of masks, the threshold whose masks have the outlines with most support (`numerics.outline_support`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import has_irnet_maps, read_boundary
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.artifacts.score_maps import NOT_CHOSEN, STAGES, class_labelling, instance_labelling
from irnet_pipe.data.image_list import ImageEntry, sample_entries
from irnet_pipe.data.photos import load_photo
from irnet_pipe.numerics.outline_support import OutlineSupport, gradient_rank
from irnet_pipe.runtime.job import Job
from irnet_pipe.stage_table import LOOKED_AT

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 13))
TOLERANCE = {"instance": 0, "semantic": 1}
"""Pixels by which an outline may miss a boundary."""

MOST_IMAGES = LOOKED_AT["select_thresholds"]


def run(job: Job) -> None:
    """Write the curves over the thresholds and their maxima."""
    source = STAGES[job.fact("variant")]
    support = {kind: OutlineSupport(THRESHOLDS, tolerance=pixels) for kind, pixels in TOLERANCE.items()}
    with (
        ShardSet(job.parents(source), kind=KIND_OF_STAGE[source]) as scores,
        ShardSet(job.parents("infer_irnet"), kind="irnet_maps") as maps,
    ):
        entries = _chosen(job, maps)
        for entry in job.progress(entries, total=len(entries)):
            _add(job, entry, scores, maps, support)
    chosen = {kind: _curve(of.result()) for kind, of in support.items()}
    write_json(job.output, job.record, {"variant": job.fact("variant"), "images": len(entries), **chosen})


def _chosen(job: Job, maps: ShardSet) -> list[ImageEntry]:
    """Training images with class maps, or some of them when there are too many."""
    entries = (entry for entry in job.images if entry.labels and has_irnet_maps(maps, entry.image_id))
    return sample_entries(entries, MOST_IMAGES)


def _add(
    job: Job, entry: ImageEntry, scores: ShardSet, maps: ShardSet, support: dict[str, OutlineSupport]
) -> None:
    image_id, size = entry.image_id, scores.size(entry.image_id).working
    photo = load_photo(job.photo(entry), long_side=max(size))
    boundary, rank = _enlarged(read_boundary(maps, image_id), size), gradient_rank(photo)
    _, label = class_labelling(job.fact("variant"), scores, image_id, size=size, full_size=size)
    support["semantic"].add(*label(bg_threshold=0), boundary=boundary, rank=rank)
    if job.fact("variant") == "full":
        _, label = instance_labelling(scores, image_id, size=size, full_size=size)
    support["instance"].add(*label(bg_threshold=0), boundary=boundary, rank=rank)


def _enlarged(boundary: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    image = Image.fromarray(boundary.astype(np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _curve(support: NDArray[np.float64]) -> dict[str, Any]:
    best = THRESHOLDS[int(np.argmax(support))] if support.any() else NOT_CHOSEN
    return {"bg_threshold": best, "thresholds": list(THRESHOLDS), "support": support.tolist()}
