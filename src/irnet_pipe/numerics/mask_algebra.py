"""Masks compared and united as run lengths, without ever being decoded.

Run lengths are those of `numerics.run_lengths`: column by column, the first of background.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit


def unite_runs(masks: Sequence[np.ndarray], *, size: tuple[int, int]) -> np.ndarray:
    """Union of masks.

    Args:
        masks: run lengths, each (runs,) integers summing to H·W.
        size: (H, W).

    Returns:
        (runs,) uint32.
    """
    if len(masks) == 1:
        return masks[0].astype(np.uint32)
    starts = [_starts_and_ends(runs)[0] for runs in masks]
    ends = [_starts_and_ends(runs)[1] for runs in masks]
    place = np.concatenate([*starts, *ends, np.zeros(0, np.int64)])
    change = np.ones(len(place), np.int64)
    change[len(place) // 2 :] = -1
    place, group = np.unique(place, return_inverse=True)
    depth = np.cumsum(np.bincount(group, weights=change, minlength=len(place)))
    inside = np.concatenate([[False], depth > 0.5])
    return runs_between(place[inside[1:] != inside[:-1]], size=size)


def runs_between(borders: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Run lengths of the mask that changes at these places.

    Args:
        borders: (n,) ascending indices into the pixels column by column, none twice; H·W is allowed.
        size: (H, W).

    Returns:
        (runs,) uint32 summing to H·W.
    """
    n_pixels = size[0] * size[1]
    borders = borders[: np.searchsorted(borders, n_pixels)]
    runs: np.ndarray = np.diff(borders, prepend=0, append=n_pixels).astype(np.uint32)
    return runs


def intersections(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
    """Pixels that each mask of a shares with each of b.

    Args:
        a: run lengths of m masks, each (runs,).
        b: run lengths of n masks of the same size.

    Returns:
        (m, n) int64.
    """
    shared = np.zeros((len(a), len(b)), np.int64)
    if len(a) and len(b):
        _intersect(*_packed(a), *_packed(b), shared)
    return shared


def _starts_and_ends(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First pixel of each run of foreground, and the pixel behind it, column by column."""
    ends = np.cumsum(runs, dtype=np.int64)
    return ends[0::2][: len(runs) // 2], ends[1::2]


def _packed(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the runs of all masks in one array, and where each mask begins in it, (m + 1,)."""
    first = np.zeros(len(masks) + 1, np.int64)
    np.cumsum([len(runs) for runs in masks], out=first[1:])
    return np.concatenate([np.cumsum(runs, dtype=np.int64) for runs in masks]), first


@njit(cache=True, nogil=True)
def _intersect(
    ends_a: np.ndarray, first_a: np.ndarray, ends_b: np.ndarray, first_b: np.ndarray, shared: np.ndarray
) -> None:
    for i in range(shared.shape[0]):
        for j in range(shared.shape[1]):
            at_a, at_b = first_a[i], first_b[j]
            foreground_a, foreground_b = False, False
            position, pixels = 0, 0
            while at_a < first_a[i + 1] and at_b < first_b[j + 1]:
                end = min(ends_a[at_a], ends_b[at_b])
                if foreground_a and foreground_b:
                    pixels += end - position
                position = end
                # where both end here, the second one is met in the next turn, which adds no pixel
                if ends_a[at_a] == end:
                    at_a += 1
                    foreground_a = not foreground_a
                else:
                    at_b += 1
                    foreground_b = not foreground_b
            shared[i, j] = pixels
