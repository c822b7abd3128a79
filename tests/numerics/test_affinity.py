from pathlib import Path

import numpy as np
import pytest
import torch

from irnet_pipe.numerics import affinity as affinity_module
from irnet_pipe.numerics.affinity import pair_affinity, path_maximum, path_offsets

GOLDEN = Path(__file__).parents[1] / "golden"


def naive_affinity(boundary: np.ndarray, radius: int) -> np.ndarray:
    reach = radius - 1
    height, width = boundary.shape
    sources = [(y, x) for y in range(height - reach) for x in range(reach, width - reach)]
    return np.array(
        [
            [1 - max(boundary[y + dy, x + dx] for dy, dx in path) for y, x in sources]
            for _, path in path_offsets(radius)
        ]
    )


@pytest.mark.parametrize("radius", [5, 10])
def test_paths_equal_the_reference(radius):
    golden = np.load(GOLDEN / f"paths_r{radius}.npz", allow_pickle=False)
    expected = {tuple(path[0]): path for key in golden if key.startswith("paths_") for path in golden[key]}
    paths = path_offsets(radius)
    assert [tuple(offset) for offset, _ in paths] == sorted(map(tuple, golden["search_dst"]))
    for offset, path in paths:
        np.testing.assert_array_equal(path, expected[tuple(offset)])


def test_paths_of_radius_two():
    assert [(offset.tolist(), path.tolist()) for offset, path in path_offsets(2)] == [
        ([0, 1], [[0, 1], [0, 0]]),
        ([1, -1], [[1, -1], [0, -1], [1, 0], [0, 0]]),
        ([1, 0], [[1, 0], [0, 0]]),
        ([1, 1], [[1, 1], [0, 1], [1, 0], [0, 0]]),
    ]


@pytest.mark.parametrize("case", [0, 1])
def test_affinity_equals_the_reference(case):
    golden = np.load(GOLDEN / f"losses_{case}.npz", allow_pickle=False)
    radius = int(golden["radius"])
    order = [tuple(offset) for offset, _ in path_offsets(radius)]
    theirs = [
        order.index(tuple(offset))
        for offset in np.load(GOLDEN / f"paths_r{radius}.npz", allow_pickle=False)["search_dst"]
    ]
    boundary = torch.from_numpy(golden["boundary_logit"][:, 0]).sigmoid()
    affinity = pair_affinity(boundary, radius=radius)[:, theirs]
    torch.testing.assert_close(affinity, torch.from_numpy(golden["affinity"]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", [0, 1])
def test_gradient_of_the_affinity_losses_equals_the_reference(case):
    golden = np.load(GOLDEN / f"losses_{case}.npz", allow_pickle=False)
    radius, label = int(golden["radius"]), torch.from_numpy(golden["label"]).long()
    logit = torch.from_numpy(golden["boundary_logit"]).requires_grad_()
    affinity = pair_affinity(logit[:, 0].sigmoid(), radius=radius)
    reach, size = radius - 1, label.shape[0]
    rows, columns = size - reach, size - 2 * reach
    source = label[:rows, reach : reach + columns].flatten()
    target = torch.stack(
        [
            label[dy : dy + rows, reach + dx : reach + dx + columns].flatten()
            for (dy, dx), _ in path_offsets(radius)
        ]
    )
    sure = (source != 255) & (target != 255)

    def mean(terms: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        return (terms * pairs).sum() / (len(affinity) * pairs.sum() + 1e-5)

    same, close, apart = (
        sure & (source == target),
        -(affinity + 1e-5).log(),
        -(1 + 1e-5 - affinity).log(),
    )
    loss = mean(close, same & (source == 0)) / 4 + mean(close, same & (source > 0)) / 4
    (loss + mean(apart, sure & ~same) / 2).backward()
    expected = torch.from_numpy(golden["grad_boundary_logit"])
    torch.testing.assert_close(logit.grad, expected, rtol=1e-4, atol=float(1e-5 * expected.abs().max()))


@pytest.mark.parametrize(("radius", "shape"), [(2, (2, 3)), (3, (3, 5)), (4, (9, 12))])
def test_affinity_equals_plain_loops(radius, shape):
    boundary = torch.rand(shape, generator=torch.Generator().manual_seed(radius), dtype=torch.float64)
    expected = naive_affinity(boundary.numpy(), radius)
    assert pair_affinity(boundary[None], radius=radius)[0].numpy() == pytest.approx(expected, abs=1e-12)


def test_gradient_equals_finite_differences():
    boundary = torch.rand(
        2, 6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda field: path_maximum(field, radius=3), boundary)


def test_gradient_of_equal_values_goes_to_the_far_end():
    boundary = torch.zeros(1, 2, 3, requires_grad=True)
    pair_affinity(boundary, radius=2).sum().backward()
    # one source, (0, 1), with offsets (0, 1), (1, −1), (1, 0), (1, 1): each far end takes it all
    assert boundary.grad.tolist() == [[[0, 0, -1], [-1, -1, -1]]]


def test_the_torch_form_equals_the_compiled_one(monkeypatch):
    # a boundary with many equal values: both must choose the same pixel
    boundary = torch.randint(0, 5, (2, 14, 25), generator=torch.Generator().manual_seed(2)) / 4
    weight = torch.rand(2, 152, 5, 7, generator=torch.Generator().manual_seed(3))

    def values_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = boundary.clone().requires_grad_()
        maximum = path_maximum(leaf, radius=10)
        (maximum * weight).sum().backward()
        return maximum.detach(), leaf.grad

    compiled = values_and_gradient()
    monkeypatch.setattr(affinity_module, "_search_compiled", affinity_module._search_by_torch)
    monkeypatch.setattr(affinity_module, "_scatter_compiled", affinity_module._scatter_by_torch)
    by_torch = values_and_gradient()
    assert torch.equal(compiled[0], by_torch[0])
    torch.testing.assert_close(compiled[1], by_torch[1])


def test_affinity_is_symmetric_under_mirroring():
    boundary = torch.rand(1, 12, 15, generator=torch.Generator().manual_seed(3))
    radius = 5
    affinity = path_maximum(boundary, radius=radius)
    mirrored = path_maximum(boundary.flip(-1), radius=radius).flip(-1)
    order = [tuple(offset) for offset, _ in path_offsets(radius)]
    for index, (dy, dx) in enumerate(order):
        if dy:
            assert torch.equal(affinity[:, index], mirrored[:, order.index((dy, -dx))])


def test_affinity_does_not_grow_with_the_boundary():
    generator = torch.Generator().manual_seed(4)
    boundary = torch.rand(1, 12, 15, generator=generator)
    stronger = boundary + (1 - boundary) * torch.rand(1, 12, 15, generator=generator)
    assert (pair_affinity(stronger, radius=5) <= pair_affinity(boundary, radius=5)).all()


def test_small_maps_and_radii_are_refused():
    with pytest.raises(ValueError, match="map is 4×9, but radius 5 needs 5×9"):
        pair_affinity(torch.zeros(1, 4, 9), radius=5)
    with pytest.raises(ValueError, match="radius is 1, but must be at least 2"):
        path_offsets(1)
