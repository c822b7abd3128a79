import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics.affinity import path_offsets
from irnet_pipe.numerics.relation_pairs import (
    TERMS,
    compiled_relation_sums,
    offsetwise_relation_sums,
    relation_sums,
)
from irnet_pipe.training.losses import TERM_WEIGHTS, relation_losses

GOLDEN = Path(__file__).parents[1] / "golden"


def naive_losses(logit, displacement, label, radius):
    """docs/method.md, 4: plain loops over pairs; python floats keep autograd's graph through torch scalars."""
    boundary = torch.sigmoid(logit[:, 0])
    reach = radius - 1
    n, height, width = label.shape
    values = {term: [] for term in TERMS}
    for i in range(n):
        for offset, path in path_offsets(radius):
            dy, dx = (int(v) for v in offset)
            for y in range(height - reach):
                for x in range(reach, width - reach):
                    here, there = int(label[i, y, x]), int(label[i, y + dy, x + dx])
                    if 255 in (here, there):
                        continue
                    affinity = 1 - max(boundary[i, y + int(py), x + int(px)] for py, px in path)
                    if here != there:
                        values["neg"].append(-torch.log(1 + 1e-5 - affinity))
                        continue
                    kind = "bg" if here == 0 else "fg"
                    values[f"pos_{kind}"].append(-torch.log(affinity + 1e-5))
                    target = torch.zeros(2) if here == 0 else torch.tensor([dy, dx])
                    difference = displacement[i, :, y, x] - displacement[i, :, y + dy, x + dx] - target
                    values[f"disp_{kind}"].append(difference.abs().sum() / 2)
    losses = {term: sum(v, torch.tensor(0.0)) / (len(v) + 1e-5) for term, v in values.items()}
    total = (losses["pos_bg"] + losses["pos_fg"]) / 4 + losses["neg"] / 2
    losses["total"] = total + (losses["disp_fg"] + losses["disp_bg"]) / 2
    return losses


def random_case(seed, *, n=2, height=7, width=9, labels=(0, 1, 2, 255)):
    generator = torch.Generator().manual_seed(seed)
    logit = torch.randn(n, 1, height, width, generator=generator).requires_grad_()
    displacement = (3 * torch.randn(n, 2, height, width, generator=generator)).requires_grad_()
    index = torch.randint(len(labels), (n, height, width), generator=generator)
    return logit, displacement, torch.tensor(labels)[index]


def gradients(total, *inputs):
    return torch.autograd.grad(total, inputs, retain_graph=True)


def assert_close_to_maximum(actual, expected, *, relative):
    assert (actual - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("case", [0, 1])
@pytest.mark.parametrize("label_type", [torch.uint8, torch.int64])
def test_golden_losses_and_gradients(case, label_type):
    golden = np.load(GOLDEN / f"losses_{case}.npz", allow_pickle=False)
    logit = torch.from_numpy(golden["boundary_logit"]).requires_grad_()
    displacement = torch.from_numpy(golden["displacement"]).requires_grad_()
    label = torch.from_numpy(golden["label"]).to(label_type).expand(2, -1, -1)

    losses = relation_losses(logit, displacement, label, radius=int(golden["radius"]))

    for term in (*TERMS, "total"):
        assert losses[term].item() == pytest.approx(float(golden[f"loss_{term}"]), rel=1e-5)
    by_logit, by_displacement = gradients(losses["total"], logit, displacement)
    assert_close_to_maximum(by_logit, torch.from_numpy(golden["grad_boundary_logit"]), relative=1e-4)
    assert_close_to_maximum(by_displacement, torch.from_numpy(golden["grad_displacement"]), relative=1e-4)


@pytest.mark.parametrize("case", [0, 1])
def test_golden_pair_counts(case):
    golden = np.load(GOLDEN / f"losses_{case}.npz", allow_pickle=False)
    label = torch.from_numpy(golden["label"])[None]
    _, pairs = relation_sums(
        torch.full(label.shape, 0.5), torch.zeros(1, 2, *label.shape[1:]), label, radius=int(golden["radius"])
    )
    n_bg, n_fg, n_neg = (float(golden[key]) for key in ("n_bg", "n_fg", "n_neg"))
    assert pairs.tolist() == [n_bg, n_fg, n_neg, n_bg, n_fg]


@pytest.mark.parametrize("radius", [2, 3, 4])
def test_losses_and_gradients_equal_plain_loops(radius):
    logit, displacement, label = random_case(radius)
    losses = relation_losses(logit, displacement, label, radius=radius)
    expected = naive_losses(logit, displacement, label, radius)
    for term, value in expected.items():
        assert losses[term].item() == pytest.approx(value.item(), rel=1e-5), term
        inputs = (displacement,) if term.startswith("disp") else (logit,)
        for actual, naive in zip(gradients(losses[term], *inputs), gradients(value, *inputs), strict=True):
            assert_close_to_maximum(actual, naive, relative=1e-5)


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 10_000), radius=st.integers(2, 5), labels=st.lists(st.integers(0, 255), min_size=1)
)
def test_both_implementations_agree(seed, radius, labels):
    logit, displacement, label = random_case(seed, height=11, width=13, labels=labels)
    boundary = logit[:, 0].sigmoid()
    sums, pairs = compiled_relation_sums(boundary, displacement, label, radius=radius)
    expected_sums, expected_pairs = offsetwise_relation_sums(boundary, displacement, label, radius=radius)
    torch.testing.assert_close(pairs, expected_pairs)
    torch.testing.assert_close(sums, expected_sums)
    for value, expected in zip(sums, expected_sums, strict=True):
        for actual, slope in zip(
            gradients(value, boundary, displacement), gradients(expected, boundary, displacement), strict=True
        ):
            assert_close_to_maximum(actual, slope, relative=1e-5)


@pytest.mark.parametrize("class_id", [1, 19, 20, 21, 90, 254])
def test_every_class_takes_part(class_id):
    """Defect D3 of the reference: labels of 21 and more formed no pairs."""
    label = torch.zeros(1, 8, 10, dtype=torch.uint8)
    label[:, :, 5:] = 1
    relabelled = label * class_id
    maps = torch.zeros(1, 8, 10), torch.zeros(1, 2, 8, 10)
    _, pairs = relation_sums(*maps, relabelled, radius=3)
    _, expected = relation_sums(*maps, label, radius=3)
    assert pairs.tolist() == expected.tolist()
    assert min(pairs) > 0


def test_two_classes_are_a_negative_pair():
    label = torch.tensor([[[7, 7, 9], [7, 7, 9]]])
    _, pairs = relation_sums(torch.zeros(1, 2, 3), torch.zeros(1, 2, 2, 3), label, radius=2)
    # one source, (0, 1): right and below right is another class, below and below left the same
    assert pairs.tolist() == [0, 2, 2, 0, 2]


def test_hand_made_losses():
    boundary = torch.tensor([[[0.0, 0.2, 0.5], [0.0, 0.9, 0.0]]])
    displacement = torch.zeros(1, 2, 2, 3)
    displacement[0, :, 0, 1] = torch.tensor([2.0, -1.0])
    label = torch.tensor([[[255, 3, 0], [255, 3, 255]]])
    losses = relation_losses(torch.logit(boundary)[:, None], displacement, label, radius=2)
    assert losses["neg"].item() == pytest.approx(-math.log(0.5 + 1e-5), rel=1e-4)
    assert losses["pos_fg"].item() == pytest.approx(-math.log(0.1 + 1e-5), rel=1e-4)
    assert losses["disp_fg"].item() == pytest.approx((abs(2 - 1) + abs(-1 - 0)) / 2, rel=1e-4)
    assert losses["pos_bg"].item() == losses["disp_bg"].item() == 0


@pytest.mark.parametrize("value", [0, 255])
def test_empty_pair_sets_give_zero_and_finite_gradients(value):
    logit, displacement, _ = random_case(0)
    losses = relation_losses(logit, displacement, torch.full((2, 7, 9), value), radius=3)
    empty = TERMS if value == 255 else ("pos_fg", "neg", "disp_fg")
    assert all(losses[term].item() == 0 for term in empty)
    for gradient in gradients(losses["total"], logit, displacement):
        assert gradient.isfinite().all()
        assert gradient.any() == (value == 0)


def test_saturated_boundaries_stay_finite():
    _, displacement, label = random_case(1)
    logit = torch.full((2, 1, 7, 9), 200.0, requires_grad=True)
    losses = relation_losses(logit, displacement, label, radius=3)
    assert all(value.isfinite() for value in losses.values())
    assert all(gradient.isfinite().all() for gradient in gradients(losses["total"], logit, displacement))


def test_diverged_boundaries_are_seen_in_the_loss():
    _, displacement, label = random_case(1)
    losses = relation_losses(torch.full((2, 1, 7, 9), math.nan), displacement, label, radius=3)
    assert losses["total"].isnan()


def test_half_precision_inputs_give_float32_losses():
    logit, displacement, label = random_case(2)
    half = relation_losses(logit.bfloat16(), displacement.bfloat16(), label, radius=3)
    full = relation_losses(logit.bfloat16().float(), displacement.bfloat16().float(), label, radius=3)
    assert half["total"].dtype == torch.float32
    assert half["total"].item() == full["total"].item()


def test_weights_name_every_term():
    assert set(TERM_WEIGHTS) == set(TERMS)


@pytest.mark.parametrize(("height", "width"), [(4, 20), (20, 8)])
def test_small_grid_is_refused(height, width):
    label = torch.zeros(1, height, width)
    with pytest.raises(ValueError, match=f"{height}×{width}.*radius 5 needs 5×9"):
        relation_losses(torch.zeros(1, 1, height, width), torch.zeros(1, 2, height, width), label, radius=5)
