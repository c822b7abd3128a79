"""Outlines of masks as polygons that fill to the same pixels.

A rasteriser either asks whether the centre of a pixel lies inside (COCO), or paints the line of the polygon as well
(OpenCV, PIL). So an outline has two polygons: one along the edges of pixels, and one through the outermost pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from scipy.spatial import KDTree

RIGHT, DOWN, LEFT, UP = range(4)
START = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.int32)
"""(x, y) of the corner of a pixel at which its top, right, bottom and left edge begin, clockwise."""


@dataclass(frozen=True)
class Outline:
    """One 4-connected part of a mask. A hole is joined to what is around it by a bridge, there and back, in the mask.

    Attributes:
        corners: (n, 2) int32, (x, y) of corners of pixels; pixel x covers x…x + 1. Its inside, by the even-odd rule,
            is the part.
        pixels: (m, 2) int32, m ≥ 3, (x, y) of pixels. Its inside by the even-odd rule, with its line, is the part;
            where a part is a pixel or a straight line, the last point is repeated.
    """

    corners: np.ndarray
    pixels: np.ndarray


def trace_outlines(mask: np.ndarray) -> list[Outline]:
    """Outlines of a mask (H, W) bool, one for each 4-connected part, in raster order of their first pixels."""
    padded = np.pad(mask, 1)
    n_edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    edges, ends = _walk_all(padded, int(n_edges))
    return _Loops(mask, edges, ends).outlines() if n_edges else []


def join_parts(parts: Sequence[np.ndarray]) -> np.ndarray:
    """One polygon of several, each (n, 2): bridges of no width, there and back, where two come closest."""
    joined, *others = parts
    for part in others:
        distance, nearest = map(np.asarray, KDTree(part).query(joined))
        at = int(np.argmin(distance))
        there = np.roll(part, -int(nearest[at]), axis=0)
        joined = np.concatenate([joined[: at + 1], there, there[:1], joined[at:]])
    return joined


@njit(cache=True, nogil=True)
def _walk_all(padded: np.ndarray, n_edges: int) -> tuple[np.ndarray, np.ndarray]:
    """All loops of edges between mask and background, the mask to the right; pixels that touch at a corner part.

    Args:
        padded: (H + 2, W + 2) bool, the mask within a border of background.
        n_edges: edges in all.

    Returns:
        `edges` (n_edges, 3) int32: x and y of the pixel, not counting the border, and which of its edges; `ends`
        (loops,) int64: where each loop ends.
    """
    step_x, step_y = (1, 0, -1, 0), (0, 1, 0, -1)
    edges = np.empty((n_edges, 3), np.int32)
    ends = np.empty(n_edges, np.int64)
    seen = np.zeros(padded.shape, np.bool_)
    n, loops = 0, 0
    for top in range(1, padded.shape[0] - 1):
        for left in range(1, padded.shape[1] - 1):
            if not padded[top, left] or padded[top - 1, left] or seen[top, left]:
                continue
            x, y, side = left, top, 0
            while True:
                edges[n, 0], edges[n, 1], edges[n, 2] = x - 1, y - 1, side
                n += 1
                if side == 0:
                    seen[y, x] = True
                ahead_x, ahead_y, before = x + step_x[side], y + step_y[side], (side + 3) % 4
                if not padded[ahead_y, ahead_x]:
                    side = (side + 1) % 4
                elif not padded[ahead_y + step_y[before], ahead_x + step_x[before]]:
                    x, y = ahead_x, ahead_y
                else:
                    x, y, side = ahead_x + step_x[before], ahead_y + step_y[before], before
                if x == left and y == top and side == 0:
                    break
            ends[loops] = n
            loops += 1
    return edges, ends[:loops]


class _Loops:
    """Joins the loops of a mask, each hole to the loop above it, until one loop is left for each part."""

    def __init__(self, mask: np.ndarray, edges: np.ndarray, ends: np.ndarray) -> None:
        self.mask, self.edges, self.ends = mask, edges, ends
        self.corner = edges[:, :2] + START[edges[:, 2]]
        self.loops = np.split(np.arange(len(edges)), ends[:-1])
        # Edge numbers in the order of each polygon: that of corners takes where an edge begins.
        self.corner_walk = list(self.loops)
        self.pixel_walk = list(self.loops)

    def outlines(self) -> list[Outline]:
        """Outlines of all parts."""
        outer = [self._area(loop) > 0 for loop in self.loops]
        holes = [(self._top(loop), number) for number, loop in enumerate(self.loops) if not outer[number]]
        # What a hole is joined to begins above it: from below, each is whole when it is joined.
        for (_, edge), number in sorted(holes, reverse=True):
            self._join(number, edge)
        return [
            Outline(
                _straightened(self.corner[self.corner_walk[number]]),
                _triangle_at_least(_straightened(self.edges[self.pixel_walk[number], :2])),
            )
            for number in np.flatnonzero(outer)
        ]

    def _area(self, loop: np.ndarray) -> int:
        x, y = self.corner[loop].astype(np.int64).T
        return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())

    def _top(self, loop: np.ndarray) -> tuple[int, int]:
        """Row of the pixel above a hole's first pixel, and the number of its bottom edge."""
        bottom = loop[self.edges[loop, 2] == LEFT]
        edge = int(bottom[np.argmin(self.edges[bottom, 1])])
        return int(self.edges[edge, 1]), edge

    def _join(self, hole: int, edge: int) -> None:
        """Join a hole to the loop that a straight line up, within the mask, comes to."""
        x, y, _ = self.edges[edge]
        background = np.flatnonzero(~self.mask[:y, x])
        top = int(background[-1]) + 1 if background.size else 0
        above = int(self._top_edges[top, x])
        loop = int(np.searchsorted(self.ends, above, side="right"))
        after = edge + 1 if edge + 1 < self.ends[hole] else int(self.loops[hole][0])
        self.pixel_walk[loop] = _spliced(self.pixel_walk[loop], above, self.pixel_walk[hole], edge)
        self.corner_walk[loop] = _spliced(self.corner_walk[loop], above, self.corner_walk[hole], after)

    @cached_property
    def _top_edges(self) -> np.ndarray:
        """(H, W) int64: number of the top edge of a pixel, where background is above it."""
        numbers = np.zeros(self.mask.shape, np.int64)
        top = np.flatnonzero(self.edges[:, 2] == RIGHT)
        numbers[self.edges[top, 1], self.edges[top, 0]] = top
        return numbers


def _spliced(walk: np.ndarray, at: int, hole: np.ndarray, first: int) -> np.ndarray:
    """A walk that leaves at an edge, goes around a hole from an edge `first` back to it, and goes on."""
    place = int(np.flatnonzero(walk == at)[0])
    around = np.roll(hole, -int(np.flatnonzero(hole == first)[0]))
    return np.concatenate([walk[: place + 1], around, around[:1], walk[place:]])


def _triangle_at_least(points: np.ndarray) -> np.ndarray:
    """Readers refuse polygons of fewer than three points."""
    return np.concatenate([points, points[-1:].repeat(max(0, 3 - len(points)), axis=0)])


def _straightened(points: np.ndarray) -> np.ndarray:
    """Drop points that the next one repeats, and those at which the polygon goes straight on."""
    moved = np.any(points != np.roll(points, -1, axis=0), axis=1)
    if not moved.any():
        return points[:1]
    points = points[moved]
    ahead = (np.roll(points, -1, axis=0) - points).astype(np.int64)
    behind = np.roll(ahead, 1, axis=0)
    turns = behind[:, 0] * ahead[:, 1] != behind[:, 1] * ahead[:, 0]
    goes_back = (behind * ahead).sum(axis=1) < 0
    straightened: np.ndarray = points[turns | goes_back]
    return straightened
