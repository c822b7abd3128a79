from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics import random_walk
from irnet_pipe.numerics.affinity import path_offsets
from irnet_pipe.numerics.random_walk import chebyshev_coefficients, propagate, propagate_features

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=["compiled", "torch"])
def product(request, monkeypatch):
    """Both forms of the product with the stencil, on the CPU."""
    if request.param == "torch":
        monkeypatch.setattr(random_walk, "_subtract_compiled", random_walk._subtract_by_torch)


def transition_matrix(boundary: np.ndarray, radius: int, beta: float) -> np.ndarray:
    height, width = boundary.shape
    reach = radius - 1
    padded = np.pad(boundary.astype(np.float64), ((0, reach), (reach, reach)), constant_values=1)
    pixels = np.arange(height * width).reshape(height, width)
    affinity = np.eye(height * width)
    for (dy, dx), path in path_offsets(radius):
        largest = np.max([padded[y : y + height, reach + x : reach + x + width] for y, x in path], axis=0)
        y, x = np.nonzero(
            np.pad(np.ones((height, width)), reach)[reach + dy :, reach + dx :][:height, :width]
        )
        source, target = pixels[y, x], pixels[y + dy, x + dx]
        affinity[source, target] = affinity[target, source] = (1 - largest[y, x]) ** beta
    return affinity / affinity.sum(0)


def dense_walk(
    score: np.ndarray, boundary: np.ndarray, *, radius: int, beta: float, exp_times: int
) -> np.ndarray:
    transition = transition_matrix(boundary, radius, beta)
    for _ in range(exp_times):
        transition = transition @ transition
    start = score.astype(np.float64) * (1 - boundary.astype(np.float64))
    return (start.reshape(len(score), -1) @ transition).reshape(score.shape)


def assert_close(propagated: torch.Tensor, expected: np.ndarray, share: float) -> None:
    """Every map within a share of its own maximum."""
    error = np.abs(propagated.numpy() - expected).max((1, 2), initial=0)
    assert (error <= share * expected.max((1, 2), initial=0)).all(), error / expected.max((1, 2))


def boundary_map(kind: str, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    boundary = np.zeros((height, width), np.float32)
    match kind:
        case "ones":
            boundary += 1
        case "dots":  # the smallest eigenvalues
            boundary += 1
            boundary[::2, ::2] = 0
        case "holes":
            boundary[::3, ::3] = 1
        case "wall":
            boundary[:, width // 2] = 0.97
        case "noise":
            boundary = rng.random((height, width), np.float32)
        case "near":
            boundary = np.float32(0.999) * (rng.random((height, width)) < 0.5)
        case "isolated":
            boundary = (rng.random((height, width)) < 0.7).astype(np.float32)
    return boundary


def score_maps(height: int, width: int) -> np.ndarray:
    """One pixel in the middle, one in the corner, noise, a constant."""
    score = np.zeros((4, height, width), np.float32)
    score[0, height // 2, width // 2] = score[1, -1, -1] = 1
    score[2] = np.random.default_rng(1).random((height, width))
    score[3] = 1
    return score


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("case", [0, 1, 2])
def test_walk_equals_the_reference(case):
    golden = np.load(GOLDEN / f"walk_{case}.npz", allow_pickle=False)
    keys = {key: int(golden[key]) for key in ("radius", "beta", "exp_times")}
    propagated = propagate(torch.from_numpy(golden["score"]), torch.from_numpy(golden["boundary"]), **keys)
    assert_close(propagated, golden["propagated"], 2e-4)


@pytest.mark.parametrize("kind", ["zeros", "ones", "dots", "holes", "wall", "noise", "near", "isolated"])
@pytest.mark.parametrize(
    "size", [(15, 18), (1, 30), (30, 1), (1, 1)], ids=lambda size: "x".join(map(str, size))
)
@pytest.mark.parametrize(("radius", "beta"), [(2, 20), (5, 10), (10, 1), (10, 20)])
def test_walk_equals_dense_powers(kind, size, radius, beta):
    boundary, score = boundary_map(kind, *size), score_maps(*size)
    for exp_times in (0, 4, 8, 10):
        keys = {"radius": radius, "beta": beta, "exp_times": exp_times}
        propagated = propagate(torch.from_numpy(score), torch.from_numpy(boundary), **keys)
        assert_close(propagated, dense_walk(score, boundary, **keys), 1e-4)


@pytest.mark.usefixtures("product")
@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.floats(0.2, 5),
    st.integers(2, 10),
    st.floats(1, 20),
    st.integers(4, 10),
)
def test_walk_equals_dense_powers_on_random_maps(seed, size, contrast, radius, beta, exp_times):
    rng = np.random.default_rng(seed)
    boundary = rng.random(size, np.float32) ** np.float32(contrast)
    score = rng.random((2, *size), np.float32)
    keys = {"radius": radius, "beta": beta, "exp_times": exp_times}
    propagated = propagate(torch.from_numpy(score), torch.from_numpy(boundary), **keys)
    assert_close(propagated, dense_walk(score, boundary, **keys), 1e-4)


def test_walk_of_larger_maps_equals_the_torch_form(monkeypatch):
    """More than one block of pixels, and a number of maps that is no power of two."""
    generator = torch.Generator().manual_seed(0)
    score, boundary = (
        torch.rand(3, 60, 47, generator=generator),
        torch.rand(60, 47, generator=generator),
    )
    compiled = propagate(score, boundary)
    monkeypatch.setattr(random_walk, "_subtract_compiled", random_walk._subtract_by_torch)
    torch.testing.assert_close(compiled, propagate(score, boundary), rtol=1e-5, atol=1e-5)


def test_columns_of_the_transition_matrix_sum_to_one():
    # a row of ones is its left eigenvector, so a constant score on an open map stays
    boundary = torch.zeros(20, 25)
    torch.testing.assert_close(propagate(torch.ones(1, 20, 25), boundary)[0], torch.ones(20, 25))


def test_walk_is_linear_and_commutes_with_flips():
    generator = torch.Generator().manual_seed(1)
    score, boundary = torch.rand(2, 20, 31, generator=generator), torch.rand(20, 31, generator=generator)
    propagated = propagate(score, boundary)
    torch.testing.assert_close(
        propagate(score[:1] + 2 * score[1:], boundary)[0], propagated[0] + 2 * propagated[1]
    )
    for axes in ([-1], [-2], [-2, -1]):
        flipped = propagate(score.flip(axes), boundary.flip(axes))
        torch.testing.assert_close(flipped.flip(axes), propagated, rtol=1e-4, atol=1e-5)


def test_a_closed_boundary_lets_nothing_through():
    boundary = torch.zeros(9, 15)
    boundary[:, 7] = 1
    score = torch.zeros(1, 9, 15)
    score[0, 4, 2] = 1
    propagated = propagate(score, boundary, radius=5)[0]
    assert (propagated[:, :7] > 0).all()
    assert (propagated[:, 7:] == 0).all()


def test_no_maps_and_maps_of_zeros_pass_through():
    assert propagate(torch.zeros(0, 6, 7), torch.rand(6, 7)).shape == (0, 6, 7)
    assert (propagate(torch.zeros(2, 6, 7), torch.rand(6, 7)) == 0).all()


def test_half_precision_input_is_computed_in_single():
    generator = torch.Generator().manual_seed(2)
    score, boundary = (
        torch.rand(1, 8, 9, generator=generator).half(),
        torch.rand(8, 9, generator=generator).half(),
    )
    assert torch.equal(propagate(score, boundary), propagate(score.float(), boundary.float()))


@pytest.mark.parametrize("power", [1, 2, 16, 256, 1024])
def test_chebyshev_expansion_equals_the_power(power):
    x = np.linspace(-1, 1, 2001)
    expansion = np.polynomial.chebyshev.chebval(x, chebyshev_coefficients(power))
    np.testing.assert_allclose(expansion, x**power, atol=1e-8)
    assert len(chebyshev_coefficients(power)) <= min(power, 6 * power**0.5) + 1


@pytest.mark.usefixtures("product")
def test_walk_among_features_equals_the_reference():
    golden = np.load(GOLDEN / "affinitynet_0.npz", allow_pickle=False)
    keys = {"radius": int(golden["radius"]), "beta": int(golden["beta"]), "exp_times": int(golden["logt"])}
    score, features = torch.from_numpy(golden["score"]), torch.from_numpy(golden["features"])
    assert_close(propagate_features(score, features, **keys), golden["propagated"], 2e-4)


def test_walk_among_features_takes_pairs_of_whole_sources_alone():
    """As the reference crops its maps: in the last rows there is no source, in the outer columns neither."""
    score = torch.zeros(1, 7, 9)
    score[0, 6, 4] = score[0, 0, 1] = 1
    keys = {"radius": 3, "beta": 1, "exp_times": 0}
    reached = propagate_features(score, torch.zeros(4, 7, 9), **keys)[0] > 0
    targets = {(dy, dx) for (dy, dx), _ in path_offsets(3)}
    sources = {(y, x) for y in range(5) for x in range(2, 7)}
    expected = {(6, 4), (0, 1)}
    expected |= {(y, x) for y, x in sources if {(6 - y, 4 - x), (0 - y, 1 - x)} & targets}
    assert set(map(tuple, reached.nonzero().tolist())) == expected


@pytest.mark.parametrize("size", [(4, 20), (20, 8)])
def test_a_map_without_pairs_stays_as_it_is(size):
    score = torch.rand(2, *size)
    assert propagate_features(score, torch.rand(3, *size), radius=5).equal(score)


def test_numbers_of_steps_below_one_are_refused():
    with pytest.raises(ValueError, match="exp_times is -1, but must be at least 0"):
        propagate(torch.zeros(1, 3, 3), torch.zeros(3, 3), exp_times=-1)


@pytest.mark.gpu
def test_walk_on_cuda_equals_the_cpu():
    generator = torch.Generator().manual_seed(3)
    score, boundary = torch.rand(3, 40, 50, generator=generator), torch.rand(40, 50, generator=generator)
    on_cuda = propagate(score.cuda(), boundary)
    assert on_cuda.is_cuda
    torch.testing.assert_close(on_cuda.cpu(), propagate(score, boundary), rtol=1e-4, atol=1e-5)
