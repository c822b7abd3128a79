"""export_masks: pseudo instance and semantic masks of one variant (Ahn et al. 2019, sec. 5).

Variants: `cam` takes the CAM itself, instances are its connected components; `boundary` takes the class-wise random
walk, instances are connected components; `full` takes the instance-wise random walk. `affinitynet` takes AffinityNet's
random walk, with a background score of its own in place of a threshold, and connected components (Ahn and Kwak 2018).

Stored per image, at the size of the displayed photo: instance runs (COCO RLE) with instance_class and
instance_score, and semantic runs with class_id.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.masks import mask_name, pack_instances
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.artifacts.score_maps import NOT_CHOSEN, STAGES, class_labelling, instance_labelling
from irnet_pipe.numerics.label_maps import label_fragments
from irnet_pipe.numerics.run_lengths import decode_rle, encode_rle
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the masks of a shard."""
    source, thresholds = STAGES[job.fact("variant")], _thresholds(job)
    with (
        ArtifactReader(job.parent(source), kind=KIND_OF_STAGE[source]) as scores,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            size = scores.size(entry.image_id)
            class_id = scores.read(entry.image_id, "class_id")
            arrays = {"class_id": class_id} | pack_runs("semantic", []) | pack_instances([], [], [])
            if len(class_id):
                arrays |= _masks(job, scores, entry.image_id, size, thresholds)
            writer.add(entry.image_id, size, arrays)


def _thresholds(job: Job) -> dict[str, float]:
    """Score of the background for each kind of masks: that of the config, or the one that was chosen."""
    chosen = NOT_CHOSEN
    for path in job.parents("select_thresholds"):
        chosen = read_json(path, kind="thresholds")["bg_threshold"]
    thresholds = {kind: job.setting(f"export.{kind}")["bg_threshold"] for kind in ("instance", "semantic")}
    return {kind: chosen if value == "auto" else value for kind, value in thresholds.items()}


def _masks(
    job: Job, scores: ArtifactReader, image_id: str, size: ImageSize, thresholds: dict[str, float]
) -> dict[str, NDArray[Any]]:
    """Both kinds of masks; maps that both come from are read once, and labelled once for each threshold."""
    variant, sizes = job.fact("variant"), {"size": size.working, "full_size": size.full}
    class_id, label = class_labelling(variant, scores, image_id, **sizes)
    labels, best = label(bg_threshold=thresholds["semantic"])
    semantic = {int(name): encode_rle(labels == number) for number, name in enumerate(class_id, start=1)}
    if variant == "full":
        class_id, label = instance_labelling(scores, image_id, **sizes)
        labels, best = label(bg_threshold=thresholds["instance"])
    elif thresholds["instance"] != thresholds["semantic"]:
        labels, best = label(bg_threshold=thresholds["instance"])
    min_area = job.setting("export.instance")["min_fragment"] * size.height * size.width
    fragments = list(label_fragments(labels, best, min_area=min_area))
    runs = [encode_rle(f.mask, top=f.top, left=f.left, size=size.full) for f in fragments]
    classes = [int(class_id[f.index]) for f in fragments]
    instance_scores = [f.score for f in fragments]
    if wrong := job.record.spec.get("wrong", {}).get(image_id):
        for number in _marked(runs, wrong, image_id=image_id):
            instance_scores[number] = 0
            semantic[classes[number]] = _without(semantic[classes[number]], runs[number], size=size.full)
    return pack_runs("semantic", list(semantic.values())) | pack_instances(runs, classes, instance_scores)


def _marked(runs: Sequence[NDArray[np.uint32]], wrong: Sequence[str], *, image_id: str) -> list[int]:
    """Masks that a review marks wrong; as fragments they stay in the artifact, and are left out of exports."""
    marked = [number for number, mask in enumerate(runs) if mask_name(mask) in wrong]
    if len(marked) < len(wrong):
        sys.stderr.write(
            f"note: image {image_id!r}: {len(wrong) - len(marked)} of {len(wrong)} masks that the review marks wrong "
            "are none of those made now; look at them in the new report\n"
        )
    return marked


def _without(
    mask: NDArray[np.uint32], other: NDArray[np.uint32], *, size: tuple[int, int]
) -> NDArray[np.uint32]:
    """A mask without the pixels of another, as run lengths."""
    return encode_rle(decode_rle(mask, size=size) & ~decode_rle(other, size=size))
