"""The random walk as sparse products one by one, and as dense powers, which is how it was published."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from irnet_pipe.numerics.affinity import path_offsets


def sparse_walk(
    score: np.ndarray, boundary: np.ndarray, *, radius: int = 5, beta: float = 10, exp_times: int = 8
) -> np.ndarray:
    """2**exp_times products with a matrix of scipy, in the type of `score` → (m, h, w)."""
    affinity = _affinities(boundary.astype(score.dtype), radius=radius, beta=beta)
    inverse = sparse.diags_array(1 / affinity.sum(axis=0), dtype=score.dtype)
    # rows of scores times T are columns of scores before the transpose of T
    transposed = (inverse @ affinity).tocsr()
    x = np.ascontiguousarray((score * (1 - boundary)).reshape(len(score), -1).T)
    for _ in range(2**exp_times):
        x = transposed @ x
    return x.T.reshape(score.shape)


def dense_walk(
    score: np.ndarray, boundary: np.ndarray, *, radius: int = 5, beta: float = 10, exp_times: int = 8
) -> np.ndarray:
    """The dense transition matrix, squared exp_times times in float32 → (m, h, w)."""
    affinity = torch.from_numpy(_affinities(boundary, radius=radius, beta=beta).toarray())
    transition = affinity / affinity.sum(dim=0)
    for _ in range(exp_times):
        transition = transition @ transition
    start = torch.from_numpy(score * (1 - boundary)).flatten(1)
    return (start @ transition).reshape(score.shape).numpy()


def _affinities(boundary: np.ndarray, *, radius: int, beta: float) -> sparse.csr_array:
    """Symmetric (h·w, h·w), 1 on the diagonal; outside of the map all is boundary."""
    height, width = boundary.shape
    reach = radius - 1
    padded = np.pad(boundary, ((0, reach), (reach, reach)), constant_values=1)
    pixels = np.pad(np.arange(height * width).reshape(height, width), reach, constant_values=-1)
    rows, columns, values = [], [], []
    for (dy, dx), path in path_offsets(radius):
        largest = np.max([padded[y : y + height, reach + x : reach + x + width] for y, x in path], axis=0)
        target = pixels[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        inside = target >= 0
        rows.append(pixels[reach:-reach, reach:-reach][inside])
        columns.append(target[inside])
        values.append((1 - largest[inside]) ** boundary.dtype.type(beta))
    shape = (height * width, height * width)
    upper = sparse.coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    ).tocsr()
    return (upper + upper.T + sparse.eye_array(height * width, dtype=boundary.dtype)).tocsr()
