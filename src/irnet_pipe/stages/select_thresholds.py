"""select_thresholds: score of the background of masks, chosen on training images without ground truth.

At the chosen threshold outlines of semantic masks have much support (`numerics.outline_support`), the masks explain
much of the photos' colours (`numerics.colour_variance`), and it is not far from that of the paper; docs/thresholds.md
tells how this was found, and how far it holds. Pictures of a few photos show masks at the chosen one and around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import has_irnet_maps, read_boundary
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.score_maps import NOT_CHOSEN, class_labelling
from irnet_pipe.data.image_list import ImageEntry, sample_entries
from irnet_pipe.data.photos import load_photo
from irnet_pipe.export.voc import voc_palette
from irnet_pipe.numerics.colour_variance import explained_variance
from irnet_pipe.numerics.outline_support import OutlineSupport, gradient_rank
from irnet_pipe.report import pictures
from irnet_pipe.report.figures import draw_instances
from irnet_pipe.runtime.job import Job
from irnet_pipe.stage_table import LOOKED_AT

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 13))
TOLERANCE = 1
"""Pixels by which an outline may miss a boundary."""

PREFERENCE = 0.3
"""What the logarithm of the score loses with the square of the distance to the paper's threshold, in logarithms."""

MOST_IMAGES = LOOKED_AT["select_thresholds"]
SHOWN_IMAGES = 6
SHOWN_AROUND = 2
"""Steps from the chosen threshold to those shown beside it."""

SHOWN_SIDE = 256
"""Long side of a picture."""


def run(job: Job) -> None:
    """Write the curves over the thresholds, where their score is highest, and the pictures."""
    support, explained = OutlineSupport(len(THRESHOLDS), tolerance=TOLERANCE), np.zeros(len(THRESHOLDS))
    with (
        ShardSet(job.parents("propagate"), kind="propagation") as scores,
        ShardSet(job.parents("infer_irnet"), kind="irnet_maps") as maps,
    ):
        entries = _chosen(job, maps)
        for entry in job.progress(entries, total=len(entries)):
            explained += _add(job, entry, scores, maps, support) / len(entries)
        score = _score(support.result(), explained)
        best = THRESHOLDS[int(np.argmax(score))] if score.any() else NOT_CHOSEN
        shown = [_shown(job, entry, scores, best) for entry in sample_entries(entries, SHOWN_IMAGES)]
    curves = {"support": support.result(), "explained": explained, "score": score}
    content = {"images": len(entries), "bg_threshold": best, "thresholds": list(THRESHOLDS)}
    content |= {name: curve.tolist() for name, curve in curves.items()}
    write_json(job.output, job.record, {**content, "pictures": shown})


def _chosen(job: Job, maps: ShardSet) -> list[ImageEntry]:
    """Training images with class maps, or some of them when there are too many."""
    entries = (entry for entry in job.images if entry.labels and has_irnet_maps(maps, entry.image_id))
    return sample_entries(entries, MOST_IMAGES)


def _add(
    job: Job, entry: ImageEntry, scores: ShardSet, maps: ShardSet, support: OutlineSupport
) -> NDArray[np.float64]:
    """Add an image to the support; returns what its masks explain, (T,)."""
    image_id, size = entry.image_id, scores.size(entry.image_id).working
    photo = load_photo(job.photo(entry), long_side=max(size))
    _, label = class_labelling("full", scores, image_id, size=size, full_size=size)
    labels, best = label(bg_threshold=0)
    cut = np.stack([np.where(best > threshold, labels, 0) for threshold in THRESHOLDS])
    boundary = _enlarged(read_boundary(maps, image_id), size)
    support.add(cut, boundary=boundary, rank=gradient_rank(photo))
    return explained_variance(cut, photo)


def _enlarged(boundary: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    image = Image.fromarray(boundary.astype(np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _score(support: NDArray[np.float64], explained: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,); zero where nothing tells."""
    distance = np.log(np.array(THRESHOLDS) / NOT_CHOSEN)
    return support * explained * np.exp(-PREFERENCE * distance**2)


def _shown(job: Job, entry: ImageEntry, scores: ShardSet, chosen: float) -> dict[str, Any]:
    """Masks of classes over the photo, at the chosen threshold and on both sides of it."""
    photo = load_photo(job.photo(entry), long_side=SHOWN_SIDE)
    size, working = photo.shape[:2], scores.size(entry.image_id).working
    class_id, label = class_labelling("full", scores, entry.image_id, size=working, full_size=size)
    colours, shown = voc_palette()[1 + class_id % 255], {}
    for threshold in _around(chosen):
        labels, _ = label(bg_threshold=threshold)
        masks = labels == 1 + np.arange(len(class_id))[:, None, None]
        picture = pictures.Picture("masks", draw_instances(photo, masks, colours=colours))
        shown[str(threshold)] = pictures.data_uri(pictures.encode(picture), picture.kind)
    return {"image_id": entry.image_id, "shown": shown}


def _around(chosen: float) -> list[float]:
    place = THRESHOLDS.index(chosen)
    places = (place - SHOWN_AROUND, place, place + SHOWN_AROUND)
    return [THRESHOLDS[each] for each in places if 0 <= each < len(THRESHOLDS)]
