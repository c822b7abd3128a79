"""Rows of the kernels for several photos at once, on a CUDA device; the way to the device and back is counted.

A case is a batch of photos, float32. The other side takes them one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from benchmarks import kernels
from benchmarks.comparators.random_walk import dense_walk
from benchmarks.inputs import bumps, edges, photos, resting_field, restless_field
from benchmarks.kernels import ITERATIONS, Case, Cases
from benchmarks.paired import Row, Setting
from irnet_pipe.numerics.batched.dense_crf import DenseCRF
from irnet_pipe.numerics.batched.displacement import refine_centroids
from irnet_pipe.numerics.batched.random_walk import propagate

BATCH = 16
"""Photos in a batch of full size."""

GRIDS = ((94, 125), (125, 94), (84, 125), (125, 84))
"""Of photos of VOC, turn by turn."""


def _batch(setting: Setting) -> int:
    size: int = setting.choose(3, 4, BATCH)
    return size


def _grids(setting: Setting) -> list[tuple[int, int]]:
    grids = setting.choose(((12, 16), (16, 11)), GRIDS, GRIDS)
    return [grids[index % len(grids)] for index in range(_batch(setting))]


# crf: a case is a list of (photo, the two label maps, number of labels)


def crf_cases(setting: Setting) -> Cases:
    return [kernels.crf_cases(setting, _batch(setting))]


def crf_ours(case: Case, *, device: str) -> list[torch.Tensor]:
    images, labels, n_labels = zip(*case, strict=True)
    crf = DenseCRF([torch.from_numpy(image).to(device) for image in images])
    return [refined.cpu() for refined in crf.infer(labels, n_labels=n_labels)]


def crf_theirs(case: Case) -> list[np.ndarray]:
    return [kernels.crf_theirs(one) for one in case]


def crf_agreement(cases: Cases, ours: Sequence[Cases], theirs: Sequence[Cases]) -> str:
    return kernels.crf_agreement(cases[0], ours[0], theirs[0])


# walk: a case is a list of (score, boundary)


def walk_cases(setting: Setting) -> Cases:
    grids = _grids(setting)
    images = photos(setting, len(grids), size=4 * grids[0][0])
    return [
        [
            (bumps(3, grid, seed=i), edges(image, grid))
            for i, (image, grid) in enumerate(zip(images, grids, strict=True))
        ]
    ]


def walk_ours(case: Case, *, device: str) -> list[torch.Tensor]:
    scores, boundaries = zip(*case, strict=True)
    walked = propagate([score.to(device) for score in scores], boundaries)
    return [one.cpu() for one in walked]


def walk_theirs(case: Case, *, device: str) -> list[torch.Tensor]:
    return [dense_walk(score.to(device), boundary.to(device)).cpu() for score, boundary in case]


def walk_agreement(cases: Cases, ours: Sequence[Cases], theirs: Sequence[Cases]) -> str:
    return kernels.walk_agreement(cases[0], ours[0], theirs[0])


# refine: a case is a list of displacement fields, every other of which comes to rest


def refine_cases(setting: Setting) -> Cases:
    kinds = resting_field, restless_field
    return [[kinds[i % 2](grid, seed=i) for i, grid in enumerate(_grids(setting))]]


def refine_ours(case: Case, *, device: str) -> list[np.ndarray]:
    fields = [torch.from_numpy(field).to(device) for field in case]
    return [centroids.cpu().numpy() for centroids in refine_centroids(fields, max_iterations=ITERATIONS)]


def refine_theirs(case: Case) -> list[np.ndarray]:
    return [kernels.refine_theirs(field) for field in case]


def refine_agreement(cases: Cases, ours: Sequence[Cases], theirs: Sequence[Cases]) -> str:
    return kernels.refine_agreement(cases[0], ours[0], theirs[0])


def rows_on(device: str) -> tuple[Row, ...]:
    """The rows on any device, `cuda` but for tests."""
    return (
        Row(
            "crf_cuda",
            f"both CRFs of {BATCH} photos at once, as `crf`, on a CUDA device (quick: 4)",
            "pydensecrf2 on the CPU, two passes for each photo",
            crf_cases,
            partial(crf_ours, device=device),
            crf_theirs,
            crf_agreement,
            memory=False,
            device=device,
        ),
        Row(
            "propagate_cuda",
            f"random walk of 3 maps of each of {BATCH} photos at once, 84×125 to 125×94, on a CUDA device (quick: 4)",
            "dense matrix powers on that device, photo by photo",
            walk_cases,
            partial(walk_ours, device=device),
            partial(walk_theirs, device=device),
            walk_agreement,
            memory=False,
            device=device,
        ),
        Row(
            "refine_cuda",
            f"centroids of {BATCH} fields at once, half of which never rest, on a CUDA device (quick: 4)",
            "numpy on the CPU, all pixels in every step",
            refine_cases,
            partial(refine_ours, device=device),
            refine_theirs,
            refine_agreement,
            memory=False,
            device=device,
        ),
    )


ROWS = rows_on("cuda")
