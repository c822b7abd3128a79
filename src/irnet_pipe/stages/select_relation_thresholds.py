"""select_relation_thresholds: thresholds of mine_relations, chosen on training images without ground truth.

Of label maps cut at one threshold after another and refined by the CRF, those at the best threshold explain most of
the photos' colours (`numerics.colour_variance`). It is that of the foreground, and half of it that of the background;
docs/thresholds.md tells how this was found, and how far it holds.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.data.image_list import ImageEntry, sample_entries
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.colour_variance import explained_variance
from irnet_pipe.numerics.relations import refined_labels
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.photos import open_photo
from irnet_pipe.stage_table import LOOKED_AT

THRESHOLDS = (0.02, *(round(0.05 * i, 2) for i in range(1, 13)))
BG_FACTOR = 0.5
"""Threshold of confident background, of that of the foreground."""

NOT_CHOSEN = {"fg_threshold": 0.30, "bg_threshold": 0.05}
"""Those of the paper, where nothing tells which."""

MOST_IMAGES = LOOKED_AT["select_relation_thresholds"]


def run(job: Job) -> None:
    """Write the curve over the thresholds and what follows from its maximum."""
    torch.set_num_threads(1)
    entries = sample_entries((entry for entry in job.images if entry.labels), MOST_IMAGES)
    explained = np.zeros(len(THRESHOLDS))
    with ShardSet(job.parents("infer_cam"), kind="cam") as cams:
        for entry in job.progress(entries, total=len(entries)):
            explained += _explained(job, entry, cams) / len(entries)
    curve = {"thresholds": list(THRESHOLDS), "explained": explained.tolist()}
    write_json(job.output, job.record, {"images": len(entries), **_chosen(explained), **curve})


def _explained(job: Job, entry: ImageEntry, cams: ShardSet) -> NDArray[np.float64]:
    photo = open_photo(job, entry)
    _, maps = read_class_maps(cams, entry.image_id)
    cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=photo.shape[:2])
    labels = refined_labels(torch.from_numpy(photo), cam, THRESHOLDS, **job.setting("relations.crf"))
    return explained_variance(labels.numpy(), photo)


def _chosen(explained: NDArray[np.float64]) -> dict[str, float]:
    if not explained.any():
        return NOT_CHOSEN
    best = THRESHOLDS[int(np.argmax(explained))]
    return {"fg_threshold": best, "bg_threshold": round(BG_FACTOR * best, 3)}
