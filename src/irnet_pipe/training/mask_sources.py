"""What a segmenter learns from: masks of a variant, or ground truth; files are opened on first use, in each process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.masks import read_instances, read_semantic, semantic_map
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.evaluation.ground_truth import GroundTruth, open_truth
from irnet_pipe.export.voc import VOID
from irnet_pipe.numerics.run_lengths import decode_rle
from irnet_pipe.runtime.job import Job


class _OpenedLate:
    """Pickles without what it has opened."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "opened"}


@dataclass(frozen=True)
class VariantMasks(_OpenedLate):
    """Masks of a variant.

    Attributes:
        shards: artifacts of export_masks.
        min_score: instances of a lower score are left out, fragments of score 0 always.
    """

    shards: Sequence[Path]
    min_score: float = 0

    @cached_property
    def opened(self) -> ShardSet:
        """The shards as one."""
        return ShardSet(self.shards, kind="masks")

    def instances(self, entry: ImageEntry) -> tuple[list[NDArray[np.bool_]], list[int]]:
        """Masks (H, W) and class_id of each."""
        found = read_instances(self.opened, entry.image_id).without_fragments()
        size = (entry.height, entry.width)
        kept = np.flatnonzero(found.score >= self.min_score)
        return [decode_rle(found.runs[i], size=size) for i in kept], found.class_id[kept].tolist()

    def has_instances(self, entry: ImageEntry) -> bool:
        """Whether an image has any instance."""
        score = self.opened.read(entry.image_id, "instance_score")
        return bool(((score > 0) & (score >= self.min_score)).any())

    def label_map(self, entry: ImageEntry) -> NDArray[np.uint8]:
        """Labels (H, W): 0 background, class_id + 1."""
        return semantic_map(self.opened, entry, dtype=np.uint8)

    def has_classes(self, entry: ImageEntry) -> bool:
        """Whether any pixel of an image has a class."""
        return any(len(runs) > 1 for runs in read_semantic(self.opened, entry.image_id)[1])


@dataclass(frozen=True)
class TrueMasks(_OpenedLate):
    """Ground truth.

    Attributes:
        listed: list of its files.
        root: folder that they are relative to.
        class_names: in the order of class_id.
    """

    listed: Path
    root: Path
    class_names: Sequence[str]

    @cached_property
    def opened(self) -> GroundTruth:
        """The ground truth."""
        return open_truth(self.listed, root=self.root, class_names=self.class_names)

    def instances(self, entry: ImageEntry) -> tuple[list[NDArray[np.bool_]], list[int]]:
        """Masks (H, W) and class_id of each; crowds are none."""
        true = self.opened.masks(entry.image_id, size=(entry.height, entry.width)).without_crowds()
        return [decode_rle(runs, size=true.size) for runs in true.runs], true.class_id.tolist()

    def has_instances(self, entry: ImageEntry) -> bool:
        """Whether an image has any instance."""
        return bool(self.instances(entry)[0])

    def label_map(self, entry: ImageEntry) -> NDArray[np.uint8]:
        """Labels (H, W): 0 background, class_id + 1, 255 void."""
        labels = self.opened.label_map(entry.image_id, size=(entry.height, entry.width))
        return labels.astype(np.uint8)

    def has_classes(self, entry: ImageEntry) -> bool:
        """Whether any pixel of an image has a class."""
        labels = self.label_map(entry)
        return bool(((labels > 0) & (labels < VOID)).any())


def mask_source(job: Job, *, min_score: float = 0) -> VariantMasks | TrueMasks:
    """What a training learns from: ground truth where its recipe names any, else the masks that it reads."""
    if "truth" in job.record.spec:
        return TrueMasks(job.truth, job.root, job.fact("classes"))
    return VariantMasks(job.parents("export_masks"), min_score)
