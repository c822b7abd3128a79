"""gather_masks: the masks of all shards as one tar of a COCO json, VOC PNGs and counts.

Members: masks.json (RLE; fragments of score 0 left out), SegmentationClass/ and SegmentationObject/ PNGs, and
counts.json. An image with more than 254 instances, or a set with more than 254 classes, has no PNG. Of a segmenter
there is what it has: masks.json of instances, which may overlap, or SegmentationClass/.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Any, TextIO

import numpy as np

from irnet_pipe.artifacts.io import ShardSet, atomic_path
from irnet_pipe.artifacts.masks import read_instances, read_semantic, semantic_map
from irnet_pipe.export.coco import CocoImage, CocoInstance, write_coco
from irnet_pipe.export.voc import MAX_LABELS, encode_png, object_map, write_tar
from irnet_pipe.numerics.run_lengths import decode_rle
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the tar."""
    held, shards = job.masks(job.fact("variant"))
    with (
        ShardSet(shards, kind="masks") as masks,
        atomic_path(job.output) as temporary,
        temporary.open("wb") as stream,
    ):
        write_tar(stream, _members(job, masks, held))


def _members(job: Job, masks: ShardSet, held: tuple[str, ...]) -> Iterator[tuple[str, bytes | IO[bytes]]]:
    if "instance" in held:
        yield from _coco(job, masks)
    else:
        yield "counts.json", _json(_count_classes(job, masks))
    if "semantic" in held:
        yield from _pngs(job, masks, objects="instance" in held)


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _coco(job: Job, masks: ShardSet) -> Iterator[tuple[str, bytes | IO[bytes]]]:
    # A tar tells the size of a member first; the json of very many images need not fit into memory.
    with TemporaryFile(dir=job.output.parent) as file:
        stream = io.TextIOWrapper(file, encoding="utf-8")
        counts = _write_coco(job, masks, stream)
        stream.detach()
        yield "counts.json", _json(counts)
        yield "masks.json", file


def _pngs(job: Job, masks: ShardSet, *, objects: bool) -> Iterator[tuple[str, bytes]]:
    palette = len(job.fact("classes")) <= MAX_LABELS
    for entry in job.progress(job.images):
        size = (entry.height, entry.width)
        if palette:
            yield (
                f"SegmentationClass/{entry.image_id}.png",
                encode_png(semantic_map(masks, entry, dtype=np.uint8)),
            )
        if not objects:
            continue
        instances = read_instances(masks, entry.image_id).without_fragments()
        if len(instances.runs) <= MAX_LABELS:
            stack = [decode_rle(runs, size=size) for runs in instances.runs]
            yield f"SegmentationObject/{entry.image_id}.png", encode_png(object_map(stack, size=size))


def _count_classes(job: Job, masks: ShardSet) -> dict[str, Any]:
    """Counts where there are no instances."""
    names, empty = job.fact("classes"), 0
    per_class = Counter(dict.fromkeys(names, 0))
    for entry in job.images:
        class_id, _ = read_semantic(masks, entry.image_id)
        per_class.update(names[number] for number in class_id)
        empty += not len(class_id)
    return {
        "description": f"{_what(job)}, variant {job.fact('variant')}, recipe {job.record.recipe}",
        "images": len(job.images),
        "images_without_mask": empty,
        "images_per_class": dict(per_class),
    }


def _write_coco(job: Job, masks: ShardSet, stream: TextIO) -> dict[str, Any]:
    """Write the COCO json; returns the counts, from the same pass over all masks."""
    names, predicted = job.fact("classes"), _predicted(job)
    per_class = Counter(dict.fromkeys(names, 0))
    counts: Counter[str] = Counter()

    def instances() -> Iterator[list[CocoInstance]]:
        for entry in job.images:
            found = read_instances(masks, entry.image_id)
            kept = found.without_fragments()
            counts["fragments"] += len(found.runs) - len(kept.runs)
            counts["empty"] += not kept.runs
            per_class.update(names[class_id] for class_id in kept.class_id)
            yield [
                CocoInstance(runs, int(class_id), float(score))
                for runs, class_id, score in zip(kept.runs, kept.class_id, kept.score, strict=True)
            ]

    images = [CocoImage(entry.path, entry.height, entry.width) for entry in job.images]
    description = f"{_what(job)}, variant {job.fact('variant')}, recipe {job.record.recipe}"
    if predicted:
        description += f"; the classes of {predicted} images were predicted by the classifier"
    n_instances = write_coco(stream, images, instances(), class_names=names, description=description)
    return {
        "images": len(job.images),
        "images_without_mask": counts["empty"],
        "images_with_predicted_classes": predicted,
        "instances": n_instances,
        "fragments_left_out": counts["fragments"],
        "instances_per_class": dict(per_class),
    }


def _what(job: Job) -> str:
    source = job.record.spec.get("learnt_from")
    if source is None:
        return "pseudo instance masks"
    learnt = "ground truth (upper bound)" if source == "truth" else f"pseudo masks of {source}"
    return f"masks predicted by a network that learnt from {learnt}"


def _predicted(job: Job) -> int:
    """Images whose labels were missing."""
    return sum(entry.labels is None for entry in job.images)
