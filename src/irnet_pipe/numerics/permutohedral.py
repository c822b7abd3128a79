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

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.int64]
Table = npt.NDArray[np.int32]

_EMPTY = -1
_HASH_FACTOR = -7046029254386353131  # 2^64 / golden ratio, as a signed integer
_SMALLEST_TABLE = 1 << 10


class Lattice(NamedTuple):
    """The V vertices around N points in d dimensions.

    Attributes:
        scale: d factors from features to the coordinates of the lattice. The length of this tuple tells
            compiled code d, so that it unrolls its loops over the corners of a simplex.
        vertex: (N, d + 1) uint32, the vertices of each point's simplex.
        weight: (N, d + 1) float32, its barycentric coordinates, which sum to 1.
        chains: (d + 1, V) uint32. Row j lists all vertices, neighbours along axis j one after the other:
            2·vertex + 1 if the next entry is this one's neighbour, 2·vertex if the chain ends here.
    """

    scale: tuple[np.float32, ...]
    vertex: Ids
    weight: Floats
    chains: Ids


def build_lattice(features: Floats) -> Lattice:
    """Build the lattice around points; the filter's standard deviation is 1 in every feature.

    Args:
        features: (N, d) float32, N and d at least 1.

    Returns:
        The lattice, its vertices numbered in the order in which the points reach them.

    Raises:
        ValueError: the features span too many standard deviations to number the vertices in 63 bits.
    """
    d = features.shape[1]
    # Adams et al. 2010, p. 5-6: the diagonal of E, times the blur's own standard deviation
    deviation = np.float32(math.sqrt(2 / 3) * (d + 1))
    scale = tuple(np.float32(deviation / math.sqrt((i + 1) * (i + 2))) for i in range(d))
    stride, step = _key_digits(np.multiply(_reach(features), scale, dtype=np.float64))
    vertex, weight, keys, table = _locate(features, scale, stride, step)
    return Lattice(scale, vertex, weight, _chain(keys, table, step))


def _key_digits(extent: npt.NDArray[np.float64]) -> tuple[Keys, Keys]:
    """How vertices are numbered: the value of each digit of a key, and what a step along each axis adds to it.

    A key holds the first d coordinates as digits around zero; the last one is minus their sum. A step along
    axis j adds 1 to every coordinate but the j-th, which loses d.
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


@njit(cache=True, nogil=True)
def _reach(features: Floats) -> Floats:
    """The largest absolute value of every feature."""
    reach = np.zeros(features.shape[1], np.float32)
    for p in range(features.shape[0]):
        for i in range(features.shape[1]):
            reach[i] = max(reach[i], abs(features[p, i]))
    return reach


@njit(cache=True, nogil=True, inline="always")
def _slot(table: Table, keys: Keys, key: int) -> int:
    """The slot of a table of ids, each of a key, that holds the key's id, or the empty one where it belongs."""
    last = len(table) - 1
    slot = ((key * _HASH_FACTOR) >> 32) & last
    while table[slot] != _EMPTY and keys[table[slot]] != key:
        slot = (slot + 1) & last
    return slot


@njit(cache=True, nogil=True)
def _grow(keys: Keys, table: Table) -> tuple[Keys, Table]:
    """A table of twice the size with room for twice the keys."""
    more_keys = np.empty(len(table), np.int64)
    more_keys[: len(keys)] = keys
    larger = np.full(2 * len(table), _EMPTY, np.int32)
    for vertex in range(len(keys)):
        larger[_slot(larger, keys, keys[vertex])] = vertex
    return more_keys, larger


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
    features: Floats, scale: tuple[np.float32, ...], stride: Keys, step: Keys
) -> tuple[Ids, Floats, Keys, Table]:
    """Vertices and weights of every point, the keys of all vertices, and the hash table that finds them."""
    d = len(scale)
    n = len(features)
    vertex = np.empty((n, d + 1), np.uint32)
    weight = np.empty((n, d + 1), np.float32)
    barycentric = np.empty(d + 2, np.float32)
    axis_of_rank = np.empty(d + 1, np.int64)
    elevated = np.empty(d + 1, np.float32)
    nearest = np.empty(d + 1, np.float32)
    rank = np.empty(d + 1, np.int64)
    size = _SMALLEST_TABLE
    while size < n:
        size *= 2
    keys = np.empty(size // 2, np.int64)
    table = np.full(size, _EMPTY, np.int32)
    n_vertices = 0
    for p in range(n):
        _enclose(features[p], scale, barycentric, axis_of_rank, elevated, nearest, rank)
        key = 0
        for i in range(d):
            key += int(nearest[i]) * stride[i]
        if n_vertices + d + 1 > len(keys):
            keys, table = _grow(keys[:n_vertices], table)
        for r in range(d + 1):
            slot = _slot(table, keys, key)
            if table[slot] == _EMPTY:
                table[slot] = n_vertices
                keys[n_vertices] = key
                n_vertices += 1
            vertex[p, r] = table[slot]
            weight[p, r] = barycentric[r]
            key += step[axis_of_rank[d - r]]
    return vertex, weight, keys[:n_vertices], table


@njit(cache=True, nogil=True)
def _chain(keys: Keys, table: Table, step: Keys) -> Ids:
    """Order the vertices along each axis (see `Lattice.chains`)."""
    n = len(keys)
    chains = np.empty((len(step), n), np.uint32)
    follower = np.empty(n, np.int32)
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
    return chains
