"""The random walk as sparse products one by one, and as dense powers, which is how it was published."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

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
    score: torch.Tensor, boundary: torch.Tensor, *, radius: int = 5, beta: float = 10, exp_times: int = 8
) -> torch.Tensor:
    """The dense transition matrix, squared exp_times times in the type and on the device of `score` → (m, h, w)."""
    affinity = _dense_affinities(boundary, radius=radius, beta=beta)
    transition = affinity / affinity.sum(dim=0)
    for _ in range(exp_times):
        transition = transition @ transition
    return ((score * (1 - boundary)).flatten(1) @ transition).reshape(score.shape)


def _dense_affinities(boundary: torch.Tensor, *, radius: int, beta: float) -> torch.Tensor:
    """`_affinities` as a dense matrix, on the device of `boundary`."""
    height, width = boundary.shape
    reach = radius - 1
    padded = functional.pad(boundary, (reach, reach, 0, reach), value=1)
    pixels = torch.arange(height * width, device=boundary.device).reshape(height, width)
    around = functional.pad(pixels, (reach,) * 4, value=-1)
    affinity = torch.eye(height * width, dtype=boundary.dtype, device=boundary.device)
    for (dy, dx), path in path_offsets(radius):
        views = [padded[y : y + height, reach + x : reach + x + width] for y, x in path]
        target = around[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        inside = target >= 0
        value = (1 - torch.stack(views).amax(0)[inside]) ** beta
        affinity[pixels[inside], target[inside]] = affinity[target[inside], pixels[inside]] = value
    return affinity


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
