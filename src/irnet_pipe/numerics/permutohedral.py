"""The permutohedral lattice: Gaussian filtering of scattered points in a few dimensions (Adams et al. 2010).

A point of d-dimensional feature space lies in one simplex of the lattice, between d + 1 vertices. To filter
values, they are splatted to the vertices by barycentric weights, blurred by (½, 1, ½) along each of the
lattice's d + 1 axes, and sliced back by the same weights. Only vertices that a point touches exist; where there
is none, the blur reads zero.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from irnet_pipe.numerics.pages import zero_pages

Floats = npt.NDArray[np.float32]
Photo = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.uint16]
Ids = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.int64]
Table = npt.NDArray[np.int32]

_EMPTY = -1
_HASH_FACTOR = -7046029254386353131  # 2^64 / golden ratio, as a signed integer
_WHOLE = np.float32(65535)


class Lattice(NamedTuple):
    """The V vertices around N points in d dimensions.

    Attributes:
        scale: d factors from features to the coordinates of the lattice. The length of this tuple tells
            compiled code d, so that it unrolls its loops over the corners of a simplex.
        vertex: (N, d + 1) uint32, the vertices of each point's simplex.
        weight: (N, d + 1) uint16, its barycentric coordinates, which sum to 65,535 but for rounding.
        chains: (d + 1, V) uint32. Row j lists all vertices, neighbours along axis j one after the other:
            2·vertex + 1 if the next entry is this one's neighbour, 2·vertex if the chain ends here.
    """

    scale: tuple[np.float32, ...]
    vertex: Ids
    weight: Weights
    chains: Ids


def build_lattice(photo: Photo, *, sxy: float, srgb: float = 1) -> Lattice:
    """Build the lattice around the pixels of a photo, points in position and colour.

    Args:
        photo: (H, W, C) uint8; without channels (C = 0) the points are in position alone.
        sxy: standard deviation of the filter in position, in pixels.
        srgb: the same in each channel, in levels of 0…255.

    Returns:
        The lattice of N = H · W points in d = 2 + C dimensions, its vertices numbered in the order in which the
        pixels reach them.

    Raises:
        ValueError: the photo spans too many standard deviations to number the vertices in 63 bits.
    """
    height, width, channels = photo.shape
    d = 2 + channels
    scale = lattice_scale(d)
    reach = np.array([width / sxy, height / sxy] + [255 / srgb] * channels)
    stride, step = key_digits(reach * scale)
    n = height * width
    vertex, weight = zero_pages((n, d + 1), np.uint32), zero_pages((n, d + 1), np.uint16)
    # room for as many as there may be; only those that there are take memory
    keys = zero_pages((n * (d + 1),), np.int64, sparse=True)
    table = zero_pages((1 << (2 * n).bit_length(),), np.int32)
    n_vertices, table = _locate(
        photo, np.float32(sxy), np.float32(srgb), scale, stride, step, vertex, weight, keys, table
    )
    chains, follower = zero_pages((d + 1, n_vertices), np.uint32), zero_pages((n_vertices,), np.int32)
    _chain(keys, table, step, follower, chains)
    return Lattice(scale, vertex, weight, chains)


def lattice_scale(d: int) -> tuple[np.float32, ...]:
    """The d factors from features to the coordinates of the lattice."""
    # Adams et al. 2010, p. 5-6: the diagonal of E, times the blur's own standard deviation
    deviation = np.float32(math.sqrt(2 / 3) * (d + 1))
    return tuple(np.float32(deviation / math.sqrt((i + 1) * (i + 2))) for i in range(d))


def key_digits(extent: npt.NDArray[np.float64]) -> tuple[Keys, Keys]:
    """How vertices are numbered: the value of each digit of a key, and what a step along each axis adds to it.

    A key holds the first d coordinates as digits around zero; the last one is minus their sum. A step along
    axis j adds 1 to every coordinate but the j-th, which loses d.

    Args:
        extent: (d,) float64, how far points lie apart in each feature, in coordinates of the lattice.

    Returns:
        (d,) int64 values of the digits, the first 1 and the second their radix, and (d + 1,) int64 steps.

    Raises:
        ValueError: keys of this extent do not fit in 63 bits.
    """
    d = len(extent)
    # the largest coordinate of a point, and room for the way to a vertex and on to the vertex' neighbour
    largest = max(extent.sum(), *(i * extent[i - 1] + extent[i:].sum() for i in range(1, d + 1)))
    bound = math.ceil(largest) + 2 * (d + 1)
    radix = 2 * bound + 1
    if radix**d >= 2**63:
        raise ValueError(
            f"features span {bound} lattice units, at most {int(2 ** (63 / d)) // 2} in {d} dimensions"
        )
    stride = [radix**i for i in range(d)]
    step = [sum(stride) - (d + 1) * s for s in [*stride, 0]]
    return np.array(stride, np.int64), np.array(step, np.int64)


@njit(cache=True, nogil=True, inline="always")
def _slot(table: Table, keys: Keys, key: int) -> int:
    """The slot of a table of ids, each of a key, that holds the key's id, or the empty one where it belongs."""
    last = len(table) - 1
    slot = ((key * _HASH_FACTOR) >> 32) & last
    while table[slot] != _EMPTY and keys[table[slot]] != key:
        slot = (slot + 1) & last
    return slot


@njit(cache=True, nogil=True)
def _grow(keys: Keys, table: Table) -> Table:
    """A table of twice the size."""
    larger = np.full(2 * len(table), _EMPTY, np.int32)
    for vertex in range(len(keys)):
        larger[_slot(larger, keys, keys[vertex])] = vertex
    return larger


@njit(cache=True, nogil=True, inline="always")
def _enclose(
    feature: Floats,
    scale: tuple[np.float32, ...],
    barycentric: Floats,
    axis_of_rank: Keys,
    elevated: Floats,
    nearest: Floats,
    rank: Keys,
) -> None:
    """Find the simplex around a point (Adams et al. 2010, p. 5-10); writes all arguments but the first two.

    `nearest` becomes the corner whose coordinates are multiples of d + 1. One step from there along the axis
    of rank d leads to the second corner, one more along that of rank d − 1 to the third, and so on;
    `barycentric` holds their weights.
    """
    d = len(scale)
    inverse = np.float32(1) / np.float32(d + 1)
    total = np.float32(0)
    for j in range(d, 0, -1):
        scaled = feature[j - 1] * scale[j - 1]
        elevated[j] = total - np.float32(j) * scaled
        total += scaled
    elevated[0] = total
    excess = 0
    for i in range(d + 1):
        multiple = np.rint(elevated[i] * inverse)
        nearest[i] = multiple * np.float32(d + 1)
        excess += int(multiple)
        rank[i] = 0
    for i in range(d):
        for j in range(i + 1, d + 1):
            below = int(elevated[i] - nearest[i] < elevated[j] - nearest[j])
            rank[i] += below
            rank[j] += 1 - below
    for i in range(d + 2):
        barycentric[i] = 0
    for i in range(d + 1):
        # back into the plane of coordinates that sum to 0
        place = rank[i] + excess
        wraps = int(place < 0) - int(place > d)
        place += wraps * (d + 1)
        nearest[i] += np.float32(wraps * (d + 1))
        axis_of_rank[place] = i
        share = (elevated[i] - nearest[i]) * inverse
        barycentric[d - place] += share
        barycentric[d - place + 1] -= share
    barycentric[0] += np.float32(1) + barycentric[d + 1]


@njit(cache=True, nogil=True)
def _locate(
    photo: Photo,
    sxy: np.float32,
    srgb: np.float32,
    scale: tuple[np.float32, ...],
    stride: Keys,
    step: Keys,
    vertex: Ids,
    weight: Weights,
    keys: Keys,
    table: Table,
) -> tuple[int, Table]:
    """Write vertices and weights of every pixel and the keys of all vertices; their number, and the table of them."""
    d = len(scale)
    height, width = photo.shape[:2]
    n = height * width
    feature = np.empty(d, np.float32)
    barycentric = np.empty(d + 2, np.float32)
    axis_of_rank = np.empty(d + 1, np.int64)
    elevated = np.empty(d + 1, np.float32)
    nearest = np.empty(d + 1, np.float32)
    rank = np.empty(d + 1, np.int64)
    table[:] = _EMPTY
    n_vertices = 0
    for p in range(n):
        y, x = divmod(p, width)
        feature[0], feature[1] = np.float32(x) / sxy, np.float32(y) / sxy
        for i in range(d - 2):
            feature[2 + i] = np.float32(photo[y, x, i]) / srgb
        _enclose(feature, scale, barycentric, axis_of_rank, elevated, nearest, rank)
        key = 0
        for i in range(d):
            key += int(nearest[i]) * stride[i]
        if 2 * (n_vertices + d + 1) > len(table):
            table = _grow(keys[:n_vertices], table)
        for r in range(d + 1):
            slot = _slot(table, keys, key)
            if table[slot] == _EMPTY:
                table[slot] = n_vertices
                keys[n_vertices] = key
                n_vertices += 1
            vertex[p, r] = table[slot]
            # rounding errors reach below 0
            weight[p, r] = np.uint16(max(barycentric[r], np.float32(0)) * _WHOLE + np.float32(0.5))
            key += step[axis_of_rank[d - r]]
    return n_vertices, table


@njit(cache=True, nogil=True)
def _chain(keys: Keys, table: Table, step: Keys, follower: Table, chains: Ids) -> None:
    """Order the vertices along each axis (see `Lattice.chains`); writes the last two arguments."""
    n = len(follower)
    follows = np.empty(n, np.bool_)
    for axis in range(len(step)):
        follows[:] = False
        for vertex in range(n):
            follower[vertex] = table[_slot(table, keys, keys[vertex] + step[axis])]
            if follower[vertex] != _EMPTY:
                follows[follower[vertex]] = True
        place = 0
        for head in range(n):
            if follows[head]:
                continue
            vertex = head
            while vertex != _EMPTY:
                following = follower[vertex]
                chains[axis, place] = 2 * vertex + int(following != _EMPTY)
                place += 1
                vertex = following
