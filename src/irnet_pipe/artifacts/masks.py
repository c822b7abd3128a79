"""Masks of an image as artifacts of the kind masks hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.arrays import Source, pack_runs, unpack_runs
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.numerics.run_lengths import decode_rle


@dataclass(frozen=True)
class InstanceMasks:
    """Instances of one image.

    Attributes:
        runs: COCO run lengths of each mask, at the size of the displayed photo.
        class_id: (m,) class of each.
        score: (m,) float32; 0 for fragments, which evaluation sees and exports leave out.
    """

    runs: list[NDArray[np.uint32]]
    class_id: NDArray[np.int32]
    score: NDArray[np.float32]

    def select(self, kept: Sequence[int] | NDArray[np.intp]) -> InstanceMasks:
        """Some of the instances, by number."""
        numbers = np.asarray(kept, dtype=np.intp)
        return InstanceMasks([self.runs[i] for i in numbers], self.class_id[numbers], self.score[numbers])

    def without_fragments(self) -> InstanceMasks:
        """Only what is exported: instances with a score above 0."""
        return self.select(np.flatnonzero(self.score > 0))

    def named(self, names: Collection[str]) -> InstanceMasks:
        """Only those that go by these names, see `mask_name`."""
        return self.select([i for i, runs in enumerate(self.runs) if mask_name(runs) in names])


def pack_instances(
    runs: list[NDArray[np.uint32]], classes: list[int], scores: list[float]
) -> dict[str, NDArray[Any]]:
    """Arrays of the instances of an image: run lengths, class_id and score of each."""
    return pack_runs("instance", runs) | {
        "instance_class": np.asarray(classes, dtype=np.int32),
        "instance_score": np.asarray(scores, dtype=np.float32),
    }


def read_instances(source: Source, image_id: str) -> InstanceMasks:
    """Instances of an image, in the order in which they were detected."""
    return InstanceMasks(
        unpack_runs(source, image_id, "instance"),
        source.read(image_id, "instance_class"),
        source.read(image_id, "instance_score"),
    )


def read_semantic(source: Source, image_id: str) -> tuple[NDArray[np.int32], list[NDArray[np.uint32]]]:
    """Class ids (k,) and COCO run lengths of the disjoint semantic mask of each."""
    return source.read(image_id, "class_id"), unpack_runs(source, image_id, "semantic")


def semantic_map(source: Source, entry: ImageEntry, *, dtype: type = np.int64) -> NDArray[Any]:
    """Label map (H, W) of an image: 0 background, class_id + 1."""
    labels: NDArray[Any] = np.zeros((entry.height, entry.width), dtype=dtype)
    for class_id, runs in zip(*read_semantic(source, entry.image_id), strict=True):
        labels[decode_rle(runs, size=labels.shape)] = class_id + 1
    return labels


def mask_name(runs: NDArray[np.uint32]) -> str:
    """What a review calls a mask: twelve hex digits that stand for its very pixels."""
    return hashlib.sha256(runs.astype("<u4").tobytes()).hexdigest()[:12]
