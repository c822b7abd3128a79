"""Arrays of the artifacts: how maps are packed, and masks into run lengths.

A map is stored relative to its own peak (float32), so that no score overflows or is lost: in half precision, where
the largest error is 2⁻¹¹ of a value, or in levels, where it is 1/2046 of the peak and half of the bytes are saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.io import ArtifactReader, ShardSet

Source = ArtifactReader | ShardSet

LEVELS = 1023
"""Levels of a map above zero: ten bits."""


def pack_maps(name: str, maps: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Arrays `<name>` (n,h,w) f2 and `<name>_peak` (n,) f4 of non-negative maps (n,h,w)."""
    relative, peak = _by_peak(maps)
    return {name: relative.astype(np.float16), f"{name}_peak": peak}


def unpack_maps(source: Source, image_id: str, name: str) -> NDArray[np.float32]:
    """The maps (n,h,w) float32 that `pack_maps` packed."""
    return _times_peak(source.read(image_id, name).astype(np.float32), source, image_id, name)


def pack_levels(name: str, maps: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Arrays `<name>` (n,h,w) u2 of 0…1023 and `<name>_peak` (n,) f4 of non-negative maps (n,h,w)."""
    relative, peak = _by_peak(maps)
    return {name: np.rint(relative * LEVELS).astype(np.uint16), f"{name}_peak": peak}


def unpack_levels(source: Source, image_id: str, name: str) -> NDArray[np.float32]:
    """The maps (n,h,w) float32 that `pack_levels` packed."""
    levels = source.read(image_id, name).astype(np.float32)
    return _times_peak(levels / np.float32(LEVELS), source, image_id, name)


def _by_peak(maps: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    peak = maps.max(axis=(1, 2), initial=0).astype(np.float32)
    scale = np.where(peak > 0, peak, 1).astype(np.float32)
    return maps / scale[:, None, None], peak


def _times_peak(
    relative: NDArray[np.float32], source: Source, image_id: str, name: str
) -> NDArray[np.float32]:
    maps: NDArray[np.float32] = relative * source.read(image_id, f"{name}_peak")[:, None, None]
    return maps


def pack_runs(name: str, counts: Sequence[NDArray[np.uint32]]) -> dict[str, NDArray[Any]]:
    """Arrays `<name>_counts` (all runs) and `<name>_ends` (n,) of n masks in COCO's run lengths."""
    lengths = np.asarray([len(runs) for runs in counts], dtype=np.int64)
    joined = np.concatenate(counts) if len(counts) else np.zeros(0, dtype=np.uint32)
    return {f"{name}_counts": joined.astype(np.uint32), f"{name}_ends": np.cumsum(lengths, dtype=np.int64)}


def unpack_runs(source: Source, image_id: str, name: str) -> list[NDArray[np.uint32]]:
    """The run lengths that `pack_runs` packed."""
    ends = source.read(image_id, f"{name}_ends")
    return np.split(source.read(image_id, f"{name}_counts"), ends[:-1]) if len(ends) else []
