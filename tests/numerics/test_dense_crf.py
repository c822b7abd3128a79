"""The CRF against arrays of the reference, a lattice of dictionaries, and the dense kernel matrix."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics.dense_crf import DenseCRF

GOLDEN = Path(__file__).parents[1] / "golden"


def naive_filter(features):
    """`filter(values (N,))` by a permutohedral lattice whose vertices are keys of dictionaries."""
    d = features.shape[1]
    scale = [np.sqrt(2 / 3) * (d + 1) / np.sqrt((i + 1) * (i + 2)) for i in range(d)]
    corners = []
    for feature in features.astype(float):
        scaled = feature * scale
        elevated = np.array([sum(scaled[j:]) - (j * scaled[j - 1] if j else 0) for j in range(d + 1)])
        nearest = np.rint(elevated / (d + 1)).astype(int) * (d + 1)
        rank = np.zeros(d + 1, int)
        for i, j in combinations(range(d + 1), 2):
            rank[i if (elevated - nearest)[i] < (elevated - nearest)[j] else j] += 1
        rank += nearest.sum() // (d + 1)
        nearest += (d + 1) * ((rank < 0).astype(int) - (rank > d))
        rank %= d + 1
        share = np.sort((elevated - nearest) / (d + 1))[::-1]
        weights = [1 - share[0] + share[d], *(share[d - r] - share[d - r + 1] for r in range(1, d + 1))]
        vertices = [tuple(nearest + np.where(rank <= d - r, r, r - d - 1)) for r in range(d + 1)]
        corners.append(list(zip(vertices, weights, strict=True)))

    def apply(values):
        at = {}
        for corner, value in zip(corners, values, strict=True):
            for vertex, weight in corner:
                at[vertex] = at.get(vertex, 0) + weight * value
        for axis in range(d + 1):
            step = np.ones(d + 1, int)
            step[axis] = -d
            at = {v: x + (at.get(tuple(v + step), 0) + at.get(tuple(v - step), 0)) / 2 for v, x in at.items()}
        return np.array([sum(weight * at[vertex] for vertex, weight in corner) for corner in corners])

    return apply


def dense_filter(features):
    """The same by all pairs of points: the kernel that the lattice approximates."""
    distance = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    return np.exp(-distance / 2).dot


def naive_crf(
    image, unary, make_filter, iterations=10, *, sxy=3, compat=3, bi_sxy=50, bi_srgb=5, bi_compat=10
):
    """Mean field in plain numpy."""
    n_labels, height, width = unary.shape
    y, x = (axis.reshape(-1, 1) for axis in np.mgrid[:height, :width])
    kernels = [
        (compat, make_filter(np.hstack([x, y]) / sxy)),
        (bi_compat, make_filter(np.hstack([np.hstack([x, y]) / bi_sxy, image.reshape(-1, 3) / bi_srgb]))),
    ]
    kernels = [(weight, 1 / np.sqrt(apply(np.ones(len(x)))), apply) for weight, apply in kernels]

    def softmax(score):
        e = np.exp(score - score.max(axis=0))
        return e / e.sum(axis=0)

    unary = unary.reshape(n_labels, -1).astype(float)
    q = softmax(-unary)
    for _ in range(iterations):
        edges = [[weight * norm * apply(norm * q_l) for q_l in q] for weight, norm, apply in kernels]
        q = softmax(-unary + np.sum(edges, axis=0))
    return q.reshape(n_labels, height, width)


def photo(height, width, seed=0, *, contrast=256):
    """Two halves of another colour, with noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, contrast, (height, width, 3))
    image[:, width // 2 :] += 256 - contrast
    return image.astype(np.uint8)


def random_unary(n_labels, height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 3, (n_labels, height, width)).astype(np.float32)


def infer_unary(image, unary, iterations=10, **constants):
    crf = DenseCRF(torch.from_numpy(image), **constants)
    return crf.infer_unary(torch.from_numpy(unary), iterations=iterations).numpy()


@pytest.mark.parametrize("case", range(4))
def test_golden(case):
    golden = np.load(GOLDEN / f"relations_{case}.npz", allow_pickle=False)
    crf = DenseCRF(torch.from_numpy(golden["image"]))
    for threshold, expected in (("fg_threshold", "crf_fg"), ("bg_threshold", "crf_bg")):
        scores = np.pad(golden["cam"], ((1, 0), (0, 0), (0, 0)), constant_values=golden[threshold])
        labels = crf.infer(torch.from_numpy(scores.argmax(axis=0)), n_labels=len(scores))
        assert np.mean(labels.numpy() != golden[expected]) <= 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (13, 17)])
@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_equals_naive_lattice(shape, n_labels):
    # constants for which no point lies on a face of the lattice, where rounding would choose the simplex
    image, unary = photo(*shape, contrast=40), random_unary(n_labels, *shape)
    constants = {"bi_sxy": 7.3, "bi_srgb": 11.7, "sxy": 2.9}
    expected = naive_crf(image, unary, naive_filter, 4, **constants)
    probabilities = infer_unary(image, unary, 4, bilateral_sxy=7.3, bilateral_srgb=11.7, gaussian_sxy=2.9)
    np.testing.assert_allclose(probabilities, expected, atol=2e-4)


def test_equals_naive_lattice_on_noise():
    """Nearly every pixel has vertices of its own: the table of vertices grows several times."""
    image, unary = photo(30, 30), random_unary(2, 30, 30)
    expected = naive_crf(image, unary, naive_filter, 2, bi_srgb=5.3)
    np.testing.assert_allclose(infer_unary(image, unary, 2, bilateral_srgb=5.3), expected, atol=2e-4)


def test_agrees_with_dense_kernels():
    image = photo(16, 20, contrast=30)
    unary = random_unary(3, 16, 20)
    unary[0, :, :10] -= 0.5
    unary[2, :, 10:] -= 0.5
    expected = naive_crf(image, unary, dense_filter, bi_srgb=20).argmax(axis=0)
    labels = infer_unary(image, unary, bilateral_srgb=20).argmax(axis=0)
    assert np.mean(labels == expected) > 0.95
    assert set(np.unique(labels)) >= {0, 2}


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    n_labels=st.integers(1, 6),
    seed=st.integers(0, 99),
    iterations=st.integers(0, 3),
)
def test_probabilities(height, width, n_labels, seed, iterations):
    """They sum to 1, and follow the labels when these are permuted.

    Permuted labels are summed in another order, and each iteration amplifies that rounding up to six times.
    """
    image, unary = photo(height, width, seed, contrast=60), random_unary(n_labels, height, width, seed)
    order = np.random.default_rng(seed).permutation(n_labels)
    probabilities = infer_unary(image, unary, iterations)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(infer_unary(image, unary[order], iterations), probabilities[order], atol=1e-4)


def test_no_iteration_gives_the_unary():
    unary = torch.from_numpy(random_unary(4, 3, 5))
    crf = DenseCRF(torch.from_numpy(photo(3, 5)))
    torch.testing.assert_close(crf.infer_unary(unary, iterations=0), (-unary).softmax(dim=0))


def test_unary_of_labels():
    """−log gt_prob for a pixel's label, −log((1 − gt_prob)/(n − 1)) for the others."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((8, 9)) < 0.2, rng.integers(0, 4, (8, 9)), 2)
    unary = np.where(labels == np.arange(4)[:, None, None], -np.log(0.6), -np.log(0.4 / 3)).astype(np.float32)
    crf = DenseCRF(torch.from_numpy(photo(8, 9, contrast=20)))
    refined = crf.infer(torch.from_numpy(labels), n_labels=4, gt_prob=0.6, iterations=1)
    assert torch.equal(refined, crf.infer_unary(torch.from_numpy(unary), iterations=1).argmax(dim=0))
    assert not np.array_equal(refined, labels)


@pytest.mark.parametrize("n_labels", [2, 3, 254])
def test_several_maps_in_one_pass(n_labels):
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, n_labels, (3, 7, 8)))
    crf = DenseCRF(torch.from_numpy(photo(7, 8, contrast=20)))
    together = crf.infer(labels, n_labels=n_labels)
    assert together.shape == labels.shape
    assert torch.equal(together, torch.stack([crf.infer(one, n_labels=n_labels) for one in labels]))


def test_uniform_photo():
    """A constant photo gives no evidence against the majority."""
    labels = torch.zeros(20, 20, dtype=torch.int64)
    labels[3, 4] = 1
    crf = DenseCRF(torch.full((20, 20, 3), 255, dtype=torch.uint8))
    assert not crf.infer(labels, n_labels=2).any()
    assert crf.infer(1 - labels, n_labels=2).all()


def test_strong_evidence_does_not_overflow():
    unary = torch.zeros(3, 4, 4)
    unary[1] = 1e4
    unary[2] = -1e4
    probabilities = DenseCRF(torch.from_numpy(photo(4, 4)), bilateral_compat=1e4).infer_unary(unary)
    assert torch.equal(probabilities.argmax(dim=0), torch.full((4, 4), 2))
    assert probabilities.isfinite().all()


def test_one_label():
    crf = DenseCRF(torch.from_numpy(photo(2, 3)))
    assert torch.equal(
        crf.infer(torch.zeros(2, 3, dtype=torch.uint8), n_labels=1), torch.zeros(2, 3, dtype=torch.int64)
    )
    assert torch.equal(crf.infer_unary(torch.full((1, 2, 3), 5.0)), torch.ones(1, 2, 3))


def test_label_out_of_range():
    with pytest.raises(ValueError, match="must lie in 0…1"):
        DenseCRF(torch.from_numpy(photo(2, 2))).infer(torch.tensor([[0, 2], [0, 0]]), n_labels=2)


def test_negative_weight():
    with pytest.raises(ValueError, match="compat -1 and 10 must be at least 0"):
        DenseCRF(torch.from_numpy(photo(2, 2)), gaussian_compat=-1)


def test_deviation_too_small():
    with pytest.raises(ValueError, match="lattice units, at most"):
        DenseCRF(torch.from_numpy(photo(2, 2)), bilateral_srgb=1e-3)
