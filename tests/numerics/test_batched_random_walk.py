"""The walk of several photos at once against the walk of each."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics import affinity, random_walk
from irnet_pipe.numerics.batched.random_walk import propagate

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
SIZES = [(15, 18), (1, 30), (1, 1), (30, 1), (2, 3), (21, 9)]
KINDS = ["noise", "zeros", "ones", "wall", "dots", "near"]


def boundary_of(kind: str, size: tuple[int, int]) -> torch.Tensor:
    boundary = torch.rand(size, generator=torch.Generator().manual_seed(sum(size)))
    match kind:
        case "zeros":
            boundary = torch.zeros(size)
        case "ones":
            boundary = torch.ones(size)
        case "wall":
            boundary = torch.zeros(size)
            boundary[size[0] // 2] = 0.97
        case "dots":
            boundary = torch.ones(size)
            boundary[::2, ::2] = 0
        case "near":
            boundary = 0.999 * (boundary < 0.5)
    return boundary


def score_of(n_maps: int, size: tuple[int, int]) -> torch.Tensor:
    score = torch.rand(n_maps, *size, generator=torch.Generator().manual_seed(n_maps))
    score[1:, :-1] = 0  # a source in the last row, next to the photo below
    return score


def photos_of(sizes, kinds) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    scores = [score_of(1 + i % 3, size) for i, size in enumerate(sizes)]
    return scores, [boundary_of(kinds[i % len(kinds)], size) for i, size in enumerate(sizes)]


def walked_together(scores, boundaries, device, **keys) -> list[torch.Tensor]:
    scores, boundaries = ([one.to(device) for one in each] for each in (scores, boundaries))
    together = propagate(scores, boundaries, **keys)
    assert all(one.device.type == device for one in together)
    return [one.cpu() for one in together]


def assert_close(together: list[torch.Tensor], single: list[torch.Tensor], share: float = 1e-4) -> None:
    """Every map within a share of its own maximum."""
    assert len(together) == len(single)
    for one, expected in zip(together, single, strict=True):
        assert one.shape == expected.shape
        bound = share * expected.flatten(1).amax(1)
        assert ((one - expected).flatten(1).abs().amax(1) <= bound).all()


@DEVICES
@pytest.mark.parametrize("radius", [2, 3, 4, 5])
@pytest.mark.parametrize("beta", [0, 10])
@pytest.mark.parametrize("exp_times", [0, 3, 8])
def test_equals_the_walk_of_each_photo(device, radius, beta, exp_times):
    keys = {"radius": radius, "beta": beta, "exp_times": exp_times}
    for first in range(3):  # every size with several kinds
        scores, boundaries = photos_of(SIZES, KINDS[first:] + KINDS[:first])
        single = [
            random_walk.propagate(score, boundary, **keys)
            for score, boundary in zip(scores, boundaries, strict=True)
        ]
        assert_close(walked_together(scores, boundaries, device, **keys), single)


@pytest.mark.parametrize("beta", [0, 10])
def test_what_cuda_would_compute_equals_the_compiled_form(monkeypatch, beta):
    scores, boundaries = photos_of(SIZES, KINDS)
    single = [random_walk.propagate(*each, beta=beta) for each in zip(scores, boundaries, strict=True)]
    monkeypatch.setattr(random_walk, "_subtract_compiled", random_walk._subtract_by_torch)
    monkeypatch.setattr(affinity, "_search_compiled", affinity._search_by_torch)
    assert_close(propagate(scores, boundaries, beta=beta), single)


@DEVICES
@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 14), st.integers(1, 14)), min_size=1, max_size=5),
    seed=st.integers(0, 2**32 - 1),
    radius=st.integers(2, 10),
    beta=st.floats(0, 20),
    exp_times=st.integers(0, 9),
)
def test_random_maps(device, sizes, seed, radius, beta, exp_times):
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.rand(2, *size, generator=generator) for size in sizes]
    boundaries = [torch.rand(size, generator=generator) for size in sizes]
    keys = {"radius": radius, "beta": beta, "exp_times": exp_times}
    single = [random_walk.propagate(*each, **keys) for each in zip(scores, boundaries, strict=True)]
    assert_close(walked_together(scores, boundaries, device, **keys), single)


@DEVICES
@pytest.mark.parametrize("beta", [0, 10])
def test_nothing_walks_from_photo_to_photo(device, beta):
    scores = [torch.full((1, *size), 1e9 * (i % 2)) for i, size in enumerate(SIZES)]
    together = walked_together(scores, [torch.zeros(size) for size in SIZES], device, beta=beta)
    for i, one in enumerate(together):
        assert one.any() == i % 2


@DEVICES
def test_a_batch_equals_its_photos_alone(device):
    scores, boundaries = photos_of(SIZES, KINDS)
    together = walked_together(scores, boundaries, device)
    alone = [walked_together([score], [b], device)[0] for score, b in zip(scores, boundaries, strict=True)]
    assert_close(together, alone, 1e-6)


@pytest.mark.parametrize("counts", [(0, 2), (3, 0), (0, 0)])
def test_photos_without_maps(counts):
    scores, boundaries = [torch.ones(n, 6, 7) for n in counts], [torch.zeros(6, 7)] * 2
    assert [one.shape for one in propagate(scores, boundaries)] == [(n, 6, 7) for n in counts]


def test_half_precision_input_is_computed_in_single():
    score, boundary = torch.rand(1, 8, 9).half(), torch.rand(8, 9).half()
    (half,) = propagate([score], [boundary])
    assert torch.equal(half, propagate([score.float()], [boundary.float()])[0])


def test_no_photos():
    assert propagate([], []) == []


def test_bad_settings_are_refused():
    score, boundary = torch.zeros(1, 3, 3), torch.zeros(3, 3)
    with pytest.raises(ValueError, match="exp_times is -1, but must be at least 0"):
        propagate([score], [boundary], exp_times=-1)
    with pytest.raises(ValueError, match="radius is 1, but must be at least 2"):
        propagate([score], [boundary], radius=1)
    with pytest.raises(ValueError, match="scores of 2 photos, but boundaries of 1"):
        propagate([score, score], [boundary])
