"""Instances of one image as run lengths, and how much they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from irnet_pipe.numerics.mask_algebra import intersections
from irnet_pipe.numerics.run_lengths import rle_area

RunArray = npt.NDArray[np.uint32]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MaskSet:
    """Detections or ground-truth instances of one image, in the order of their file.

    Attributes:
        size: (height, width).
        runs: of each mask (runs,) uint32, down the columns, the first of background.
        class_id: (m,) int64.
        score: (m,) float64; of ground truth without meaning.
        crowd: (m,) bool, regions that hold any number of instances; in ground truth alone.
        area: (m,) float64, by which the instances are told to be small or large: pixels, or what the file says.
    """

    size: tuple[int, int]
    runs: Sequence[RunArray]
    class_id: IntArray
    score: FloatArray
    crowd: BoolArray
    area: FloatArray

    def without_crowds(self) -> MaskSet:
        """Instances alone."""
        kept = np.flatnonzero(~self.crowd)
        return MaskSet(
            size=self.size,
            runs=[self.runs[i] for i in kept.tolist()],
            class_id=self.class_id[kept],
            score=self.score[kept],
            crowd=self.crowd[kept],
            area=self.area[kept],
        )


def make_mask_set(
    runs: Sequence[RunArray],
    class_id: Sequence[int] | npt.NDArray[np.integer[Any]],
    *,
    size: tuple[int, int],
    score: Sequence[float] | npt.NDArray[np.floating[Any]] | None = None,
    crowd: Sequence[bool] | None = None,
    area: Sequence[float | None] | None = None,
) -> MaskSet:
    """Put instances together; without score they get 1, without area that of their masks; see `MaskSet`."""
    if area is None:
        area = [None] * len(runs)
    return MaskSet(
        size=size,
        runs=runs,
        class_id=np.asarray(class_id, dtype=np.int64),
        score=np.ones(len(runs)) if score is None else np.asarray(score, dtype=np.float64),
        crowd=np.zeros(len(runs), dtype=bool) if crowd is None else np.asarray(crowd, dtype=bool),
        area=np.array(
            [rle_area(r) if a is None else a for r, a in zip(runs, area, strict=True)], dtype=float
        ),
    )


def overlaps(found: MaskSet, truth: MaskSet) -> FloatArray:
    """IoU of each detection with each instance; with a crowd, the share of the detection that lies in it.

    Returns:
        (d, g) float64; 0 where nothing is shared.
    """
    shared = intersections(found.runs, truth.runs)
    pixels = np.array([rle_area(mask) for mask in found.runs], dtype=np.int64)[:, None]
    true_pixels = np.array([rle_area(mask) for mask in truth.runs], dtype=np.int64)[None, :]
    whole = np.where(truth.crowd, pixels, pixels + true_pixels - shared)
    return shared / np.maximum(whole, 1)
