"""Rows of the kernels: one thread, float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.comparators.crf import refine_labels
from benchmarks.comparators.detection import detect, enlarge
from benchmarks.comparators.pair_gather import relation_losses as gathered_losses
from benchmarks.comparators.random_walk import dense_walk, sparse_walk
from benchmarks.comparators.twins import twin
from benchmarks.inputs import (
    bumps,
    class_maps,
    confident_label_maps,
    dots,
    edges,
    photos,
    resting_field,
    restless_field,
)
from benchmarks.paired import Disagreement, Row, Setting
from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.displacement import refine_centroids
from irnet_pipe.numerics.label_maps import label_fragments, label_scores
from irnet_pipe.numerics.random_walk import propagate
from irnet_pipe.training.losses import relation_losses

FG_THRESHOLD, BG_THRESHOLD = 0.30, 0.05
MASK_THRESHOLD = 0.25
MIN_FRAGMENT = 0.01
RADIUS = 10
ITERATIONS = 300
ROUNDING = 1e-6
"""Scores nearer than this are equal: sums of float32 in another order."""

Case = Any
Cases = Sequence[Any]


def relative_error(value: torch.Tensor | np.ndarray, expected: torch.Tensor | np.ndarray) -> float:
    """Largest difference by the largest expected value."""
    value, expected = np.asarray(value, np.float64), np.asarray(expected, np.float64)
    return float(np.abs(value - expected).max() / max(np.abs(expected).max(), np.finfo(np.float64).tiny))


# crf: a case is (photo, the two label maps, number of labels)


def crf_cases(setting: Setting, count: int | None = None) -> Cases:
    cases = []
    count, size = count or setting.choose(1, 3, 18), setting.choose(48, 450, 450)
    for index, photo in enumerate(photos(setting, count, size=size)):
        n_labels = 2 + index % 3
        score, best = class_maps(n_labels - 1, photo.shape[:2], seed=index).max(dim=0)
        maps = [torch.where(score > threshold, best + 1, 0) for threshold in (FG_THRESHOLD, BG_THRESHOLD)]
        cases.append((photo, torch.stack(maps), n_labels))
    return cases


def crf_ours(case: Case) -> torch.Tensor:
    photo, labels, n_labels = case
    return DenseCRF(torch.from_numpy(photo)).infer(labels, n_labels=n_labels)


def crf_theirs(case: Case) -> np.ndarray:
    photo, labels, n_labels = case
    return refine_labels(photo, labels.numpy(), n_labels=n_labels)


def crf_agreement(cases: Cases, ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    differing = sum(int((a.numpy() != b).sum()) for a, b in zip(ours, theirs, strict=True))
    total = sum(a.numel() for a in ours)
    text = f"{differing:,} of {total:,} labels differ"
    if differing > 1e-4 * total:
        raise Disagreement(f"{text}, at most .01 % may")
    return text


# walk: a case is (score, boundary)


def walk_cases(setting: Setting) -> Cases:
    size = setting.choose((12, 16), (94, 125), (94, 125))
    return [(bumps(3, size, seed=0), boundary) for boundary in _boundaries(setting, size)]


def small_walk_cases(setting: Setting) -> Cases:
    size = setting.choose((12, 16), (32, 40), (48, 64))
    return [(bumps(3, size, seed=0), _boundaries(setting, size)[0])]


def _boundaries(setting: Setting, size: tuple[int, int]) -> list[torch.Tensor]:
    (photo,) = photos(setting, 1, size=size[0] * 4)
    noise = torch.rand(size, generator=torch.Generator().manual_seed(0))
    return [edges(photo, size), dots(size), noise][: setting.choose(3, 2, 3)]


def walk_ours(case: Case) -> torch.Tensor:
    score, boundary = case
    return propagate(score, boundary)


def walk_by_products(case: Case) -> np.ndarray:
    score, boundary = case
    return sparse_walk(score.numpy(), boundary.numpy())


def walk_by_powers(case: Case) -> torch.Tensor:
    score, boundary = case
    return dense_walk(score, boundary)


def walk_agreement(cases: Cases, ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    exact = [sparse_walk(*(array.numpy().astype(np.float64) for array in case)) for case in cases]
    errors = [max(map(relative_error, side, exact)) for side in (ours, theirs)]
    text = f"error {errors[0]:.0e}, theirs {errors[1]:.0e} of the maximum, against float64"
    if errors[0] > 1e-4 or errors[1] > 1e-3:
        raise Disagreement(f"{text}; at most 1e-04, theirs 1e-03")
    return text


# refine: a case is a displacement field


def resting_cases(setting: Setting) -> Cases:
    size = setting.choose((10, 12), (94, 125), (94, 125))
    return [resting_field(size, seed=seed) for seed in range(setting.choose(1, 3, 6))]


def restless_cases(setting: Setting) -> Cases:
    size = setting.choose((10, 12), (94, 125), (94, 125))
    return [restless_field(size, seed=seed) for seed in range(setting.choose(1, 3, 6))]


def refine_ours(case: Case) -> np.ndarray:
    return refine_centroids(case, max_iterations=ITERATIONS)


def refine_theirs(case: Case) -> np.ndarray:
    centroids: np.ndarray = twin("numerics/test_displacement.py", "naive_centroids")(case, ITERATIONS)
    return centroids


def refine_agreement(cases: Cases, ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    differing = sum(int((a != b).any(axis=0).sum()) for a, b in zip(ours, theirs, strict=True))
    if differing:
        raise Disagreement(f"{differing:,} centroids differ")
    return "equal"


# detect: a case is (score, size of the photo)


def detect_cases(setting: Setting) -> Cases:
    size = setting.choose((40, 60), (375, 500), (375, 500))
    grid = ((size[0] - 1) // 4 + 1, (size[1] - 1) // 4 + 1)
    return [(bumps(12, grid, seed=seed), size) for seed in range(setting.choose(1, 3, 6))]


def detect_ours(case: Case) -> tuple[list[Any], tuple[int, int]]:
    score, size = case
    labels, best = label_scores(score.numpy(), size=size, bg_threshold=MASK_THRESHOLD)
    return list(label_fragments(labels, best, min_area=MIN_FRAGMENT * size[0] * size[1])), size


def detect_theirs(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score, size = case
    return detect(score, size=size, bg_threshold=MASK_THRESHOLD, min_area=MIN_FRAGMENT * size[0] * size[1])


def detect_agreement(cases: Cases, ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    """Equal instances, but for pixels whose two highest scores are equal but for rounding."""
    found = ties = 0
    for (score, _), (fragments, size), (scores, masks, numbers) in zip(cases, ours, theirs, strict=True):
        if [fragment.index for fragment in fragments] != numbers.tolist():
            raise Disagreement(f"{len(fragments)} instances against {len(numbers)}, or of other maps")
        best, second = enlarge(score.double(), size=size, bg_threshold=MASK_THRESHOLD).topk(2, dim=0).values
        tie = (best - second < ROUNDING).numpy()
        for fragment, their_score, mask in zip(fragments, scores, masks, strict=True):
            full = np.zeros(size, bool)
            height, width = fragment.mask.shape
            full[fragment.top : fragment.top + height, fragment.left : fragment.left + width] = fragment.mask
            differs = full != mask
            if (differs & ~tie).any() or abs(fragment.score - their_score) > ROUNDING:
                raise Disagreement(
                    f"an instance of map {fragment.index}: {differs.sum()} pixels differ, "
                    f"score {fragment.score} against {their_score}"
                )
            ties += int(differs.sum())
        found += len(fragments)
    return f"{found} instances equal" + (f" but for {ties} pixels of equal scores" if ties else "")


# losses: a case is (boundary logit, displacement, label)


def loss_cases(setting: Setting) -> Cases:
    n, side = setting.choose(1, 8, 8), setting.choose(24, 96, 96)
    generator = torch.Generator().manual_seed(0)
    logit = torch.randn(n, 1, side, side, generator=generator)
    displacement = 3 * torch.randn(n, 2, side, side, generator=generator)
    return [(logit, displacement, confident_label_maps(n, side, seed=0).long())]


def losses_ours(case: Case) -> tuple[torch.Tensor, ...]:
    logit, displacement, label = case
    leaves = logit.clone().requires_grad_(), displacement.clone().requires_grad_()
    total = relation_losses(*leaves, label, radius=RADIUS)["total"]
    return total.detach(), *torch.autograd.grad(total, leaves)


def losses_theirs(case: Case) -> tuple[torch.Tensor, ...]:
    logit, displacement, label = case
    leaves = logit.clone().requires_grad_(), displacement.clone().requires_grad_()
    total = gathered_losses(*leaves, label, radius=RADIUS)
    return total.detach(), *torch.autograd.grad(total, leaves)


def losses_agreement(cases: Cases, ours: Sequence[Any], theirs: Sequence[Any]) -> str:
    errors = [relative_error(a, b) for a, b in zip(ours[0], theirs[0], strict=True)]
    text = f"loss to {errors[0]:.0e}, gradients to {max(errors[1:]):.0e} of the maximum"
    if max(errors) > 1e-4:
        raise Disagreement(f"{text}; at most 1e-04")
    return text


ROWS = (
    Row(
        "crf",
        "both CRFs of a photo: two label maps, 2 to 4 labels, 10 steps each",
        "pydensecrf2, two passes",
        crf_cases,
        crf_ours,
        crf_theirs,
        crf_agreement,
    ),
    Row(
        "propagate",
        "random walk of 3 maps of 94×125, affinities included",
        "256 products with a CSR matrix of scipy",
        walk_cases,
        walk_ours,
        walk_by_products,
        walk_agreement,
    ),
    Row(
        "propagate_dense",
        "the same at 48×64 (quick: 32×40)",
        "dense matrix powers, as published",
        small_walk_cases,
        walk_ours,
        walk_by_powers,
        walk_agreement,
    ),
    Row(
        "refine_resting",
        "centroids of 94×125, 300 steps, fields that come to rest",
        "numpy, all pixels in every step",
        resting_cases,
        refine_ours,
        refine_theirs,
        refine_agreement,
    ),
    Row(
        "refine_restless",
        "the same, fields that never rest",
        "numpy, all pixels in every step",
        restless_cases,
        refine_ours,
        refine_theirs,
        refine_agreement,
    ),
    Row(
        "detect",
        "instances of 12 score maps at 375×500: enlarging, arg-max, components, scores",
        "the published algorithm in torch and scipy",
        detect_cases,
        detect_ours,
        detect_theirs,
        detect_agreement,
    ),
    Row(
        "relation_losses",
        "forward and backward, batch 8, 96×96, radius 10",
        "a gather over all pairs and paths, as published",
        loss_cases,
        losses_ours,
        losses_theirs,
        losses_agreement,
    ),
)
