"""Affinities of features, what is summed over their pairs, and the labels of these."""

from pathlib import Path

import numpy as np
import pytest
import torch

from irnet_pipe.numerics import feature_affinity as module
from irnet_pipe.numerics.affinity import path_offsets
from irnet_pipe.numerics.affinity_labels import (
    join_background,
    labels_of_scores,
    pool_scores,
    refined_scores,
)
from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.feature_affinity import feature_affinity
from irnet_pipe.training.losses import affinity_losses

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden():
    return np.load(GOLDEN / "affinitynet_0.npz", allow_pickle=False)


@pytest.fixture(params=["compiled", "torch"])
def form(request, monkeypatch):
    """Both forms of the distances and of their slopes, on the CPU."""
    if request.param == "torch":
        monkeypatch.setattr(module, "_distance_compiled", module.distance_by_torch)
        monkeypatch.setattr(module, "_slope_compiled", module.slope_by_torch)


def pairs(height, width, radius):
    """Offset, source and target of every pair."""
    reach = radius - 1
    for number, (offset, _) in enumerate(path_offsets(radius)):
        for y in range(height - reach):
            for x in range(reach, width - reach):
                yield number, (y, x), (y + int(offset[0]), x + int(offset[1]))


def naive_losses(features, label, radius):
    """docs/affinitynet.md, in plain loops over pairs."""
    values = {"pos_bg": [], "pos_fg": [], "neg": []}
    for image, labels in zip(features, label.tolist(), strict=True):
        for _, (y, x), (v, u) in pairs(*image.shape[1:], radius):
            here, there = labels[y][x], labels[v][u]
            if 255 in (here, there):
                continue
            affinity = torch.exp(-(image[:, y, x] - image[:, v, u]).abs().mean())
            if here != there:
                values["neg"].append(-torch.log(1 + 1e-5 - affinity))
            else:
                values["pos_fg" if here else "pos_bg"].append(-torch.log(affinity + 1e-5))
    losses = {term: sum(found, torch.tensor(0.0)) / (len(found) + 1e-5) for term, found in values.items()}
    return losses | {"total": losses["pos_bg"] / 4 + losses["pos_fg"] / 4 + losses["neg"] / 2}


@pytest.mark.usefixtures("form")
def test_affinities_equal_the_reference(golden):
    features = torch.from_numpy(golden["features"])[None]
    affinity = feature_affinity(features, radius=int(golden["radius"]))[0].flatten(1)
    torch.testing.assert_close(affinity, torch.from_numpy(golden["affinity"]), rtol=1e-5, atol=1e-6)


def test_pairs_are_those_of_the_reference_in_their_order(golden):
    _, height, width = golden["features"].shape
    found = [(y * width + x, v * width + u) for _, (y, x), (v, u) in pairs(height, width, 5)]
    sources, targets = np.array(found).reshape(34, -1, 2).transpose(2, 0, 1)
    np.testing.assert_array_equal(sources[0, :200], golden["offsets_pairs_from"])
    np.testing.assert_array_equal(targets[:, :200], golden["offsets_pairs_to"])


def test_start_of_the_walk_equals_the_reference(golden):
    score = pool_scores(join_background(torch.from_numpy(golden["cam"]), alpha=int(golden["alpha"])))
    torch.testing.assert_close(score, torch.from_numpy(golden["score"]), rtol=1e-4, atol=1e-7)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("radius", [2, 3, 4])
def test_losses_and_gradients_equal_plain_loops(radius):
    generator = torch.Generator().manual_seed(radius)
    features = torch.randn(2, 5, 7, 9, generator=generator).requires_grad_()
    label = torch.tensor([0, 1, 2, 255])[torch.randint(4, (2, 7, 9), generator=generator)].to(torch.uint8)
    losses, expected = affinity_losses(features, label, radius=radius), naive_losses(features, label, radius)
    assert losses.keys() == expected.keys()
    for term, value in expected.items():
        assert losses[term].item() == pytest.approx(value.item(), rel=1e-5), term
        (actual,), (naive,) = (
            torch.autograd.grad(each, features, retain_graph=True) for each in (losses[term], value)
        )
        assert (actual - naive).abs().max() <= 1e-5 * naive.abs().max()


def test_losses_without_any_pair_are_zero():
    features = torch.randn(1, 4, 6, 9).requires_grad_()
    losses = affinity_losses(features, torch.full((1, 6, 9), 255, dtype=torch.uint8), radius=3)
    assert not any(losses.values())
    assert not torch.autograd.grad(losses["total"], features)[0].any()


def test_a_map_without_a_source_is_refused():
    with pytest.raises(ValueError, match="feature map is 4×9, but radius 5 needs 5×9"):
        feature_affinity(torch.zeros(1, 2, 4, 9), radius=5)


def test_blocks_that_reach_beyond_the_photo_count_it_as_zero():
    pooled = pool_scores(torch.ones(1, 9, 16))
    assert pooled.tolist() == [[[1, 1], [1 / 8, 1 / 8]]]


def naive_label(low, high):
    """Of one block: (1 + k, 8, 8) each."""
    low, high = low.mean((1, 2)).tolist(), high.mean((1, 2)).tolist()
    if max(*low, *high) < 1e-5:
        return 255
    if high.index(max(high)) == 0:
        return 0
    return low.index(max(low)) or 255


def test_labels_equal_plain_loops(rng):
    # one number a block, and noise in it; the last columns are padding
    blocks = rng.random((2, 4, 6, 7)) * np.array([1.2, 1, 1, 1])[:, None, None]
    scores = np.kron(blocks, np.ones((8, 8))) * rng.uniform(0.8, 1, (2, 4, 48, 56))
    scores[..., 44:] = 0
    low, high = torch.from_numpy(scores).float()
    label = labels_of_scores(low, high)
    for i in range(6):
        for j in range(7):
            block = (..., slice(8 * i, 8 * i + 8), slice(8 * j, 8 * j + 8))
            assert label[i, j] == naive_label(low[block], high[block])
    assert label.dtype == torch.uint8 and set(label[:, :6].unique().tolist()) == {0, 1, 2, 3, 255}
    assert (label[:, 6] == 255).all()


def test_scores_are_those_of_the_crf_for_each_background(rng):
    image = torch.from_numpy(rng.integers(0, 256, (12, 15, 3), dtype=np.uint8))
    cam = torch.from_numpy(rng.random((2, 12, 15), dtype=np.float32))
    found = refined_scores(image, cam, alpha_low=2, alpha_high=5, iterations=3)
    crf = DenseCRF(image, bilateral_sxy=80, bilateral_srgb=13)
    for score, alpha in zip(found, (2, 5), strict=True):
        background = (1 - cam.amax(0)) ** alpha
        before = torch.stack([background, *cam]).clamp(1e-5, 1)
        torch.testing.assert_close(score, crf.infer_unary(-before.log(), iterations=3))
        torch.testing.assert_close(score.sum(0), torch.ones(12, 15))


def test_less_background_with_a_larger_alpha(rng):
    cam = torch.from_numpy(rng.random((2, 4, 5), dtype=np.float32))
    low, high = (join_background(cam, alpha=alpha) for alpha in (4, 32))
    assert (low[0] > high[0]).all() and low[1:].equal(cam) and high[1:].equal(cam)


@pytest.mark.gpu
def test_affinities_on_cuda_equal_the_cpu():
    features = torch.randn(2, 32, 20, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    on_cpu = feature_affinity(features, radius=5)
    (slope,) = torch.autograd.grad(on_cpu.square().sum(), features)
    moved = features.detach().cuda().requires_grad_()
    on_cuda = feature_affinity(moved, radius=5)
    torch.testing.assert_close(on_cuda.cpu(), on_cpu)
    (slope_on_cuda,) = torch.autograd.grad(on_cuda.square().sum(), moved)
    torch.testing.assert_close(slope_on_cuda.cpu(), slope, rtol=1e-4, atol=1e-5)
