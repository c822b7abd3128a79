"""The CRFs of several photos at once against the CRF of each."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.numerics import dense_crf
from irnet_pipe.numerics.batched.dense_crf import DenseCRF

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
SIZES = [(13, 17), (1, 1), (1, 9), (9, 1), (2, 2), (31, 20), (8, 12)]
N_LABELS = [3, 2, 5, 1, 4, 2, 5]


def photo_of(size: tuple[int, int], *, seed: int, contrast: int = 40) -> torch.Tensor:
    """Two halves of another colour, with noise."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, contrast, (*size, 3))
    photo[:, size[1] // 2 :] += 256 - contrast
    return torch.from_numpy(photo.astype(np.uint8))


def labels_of(size: tuple[int, int], n_labels: int, *, seed: int, maps: int | None = None) -> torch.Tensor:
    """Two halves of other labels, one pixel in five another; of `maps` maps, or one without that axis."""
    rng = np.random.default_rng(seed)
    shape = size if maps is None else (maps, *size)
    halves = np.broadcast_to(np.arange(size[1]) * 2 // size[1] + seed, shape) % n_labels
    return torch.from_numpy(np.where(rng.random(shape) < 0.2, rng.integers(0, n_labels, shape), halves))


def unary_of(size: tuple[int, int], n_labels: int, *, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 3, (n_labels, *size)).astype(np.float32))


def cases(contrast: int = 40) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """Photos, labels, unaries."""
    photos = [photo_of(size, seed=i, contrast=contrast) for i, size in enumerate(SIZES)]
    labels = [
        labels_of(size, n, seed=i, maps=(None, 1, 2)[i % 3])
        for i, (size, n) in enumerate(zip(SIZES, N_LABELS, strict=True))
    ]
    unaries = [unary_of(size, n, seed=i) for i, (size, n) in enumerate(zip(SIZES, N_LABELS, strict=True))]
    return photos, labels, unaries


def crf_on(device: str, photos: list[torch.Tensor], **constants: float) -> DenseCRF:
    return DenseCRF([photo.to(device) for photo in photos], **constants)


def assert_close(together, single) -> None:
    for chances, expected in zip(together, single, strict=True):
        torch.testing.assert_close(chances.cpu(), expected, atol=1e-4, rtol=0)


@DEVICES
@pytest.mark.parametrize("contrast", [1, 40, 90])
@pytest.mark.parametrize("iterations", [1, 10])
def test_labels_equal_those_of_each_photo(device, contrast, iterations):
    photos, labels, _ = cases(contrast)
    refined = crf_on(device, photos).infer(labels, n_labels=N_LABELS, gt_prob=0.6, iterations=iterations)
    changed = differing = 0
    for photo, given_labels, n, found in zip(photos, labels, N_LABELS, refined, strict=True):
        expected = dense_crf.DenseCRF(photo).infer(
            given_labels, n_labels=n, gt_prob=0.6, iterations=iterations
        )
        assert (found.dtype, found.shape, found.device.type) == (torch.int64, given_labels.shape, device)
        differing += int((found.cpu() != expected).sum())
        changed += int((expected != given_labels).sum())
    assert changed
    assert not differing


@DEVICES
@pytest.mark.parametrize("contrast", [1, 40, 256])
@pytest.mark.parametrize("iterations", [0, 1, 10])
def test_probabilities_equal_those_of_each_photo(device, contrast, iterations):
    photos, _, unaries = cases(contrast)
    together = crf_on(device, photos).infer_unary(unaries, iterations=iterations)
    single = [
        dense_crf.DenseCRF(photo).infer_unary(unary, iterations=iterations)
        for photo, unary in zip(photos, unaries, strict=True)
    ]
    assert_close(together, single)


@DEVICES
@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    photos=st.lists(
        st.tuples(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(1, 5)),
        min_size=1,
        max_size=4,
    ),
    seed=st.integers(0, 99),
    iterations=st.integers(0, 4),
    sxy=st.sampled_from([7.3, 50.0]),
    srgb=st.sampled_from([3.1, 20.0]),
)
def test_random_photos(device, photos, seed, iterations, sxy, srgb):
    constants = {"bilateral_sxy": sxy, "bilateral_srgb": srgb, "gaussian_sxy": 2.9}
    images = [photo_of(size, seed=seed + i, contrast=80) for i, (size, _) in enumerate(photos)]
    unaries = [unary_of(size, n, seed=seed + i) for i, (size, n) in enumerate(photos)]
    single = [
        dense_crf.DenseCRF(image, **constants).infer_unary(unary, iterations=iterations)
        for image, unary in zip(images, unaries, strict=True)
    ]
    assert_close(crf_on(device, images, **constants).infer_unary(unaries, iterations=iterations), single)


@DEVICES
def test_photos_do_not_influence_each_other(device):
    """Not even equal ones, whose pixels lie at the same places of the lattice."""
    photos, _, unaries = cases()
    photos, unaries = [*photos, photos[0]], [*unaries, unaries[0] * -1]
    together = crf_on(device, photos).infer_unary(unaries)
    for photo, unary, chances in zip(photos, unaries, together, strict=True):
        (alone,) = crf_on(device, [photo]).infer_unary([unary])
        torch.testing.assert_close(chances, alone, atol=2e-6, rtol=0)


@DEVICES
def test_the_same_bits_in_every_run(device):
    photos, _, unaries = cases()
    runs = [crf_on(device, photos).infer_unary(unaries) for _ in range(2)]
    for once, again in zip(*runs, strict=True):
        assert torch.equal(once, again)


@DEVICES
def test_padding_leaves_no_mark(device):
    """A photo of one label beside one of five: probabilities are numbers and sum to 1."""
    photos, labels, unaries = cases()
    crf = crf_on(device, photos)
    for unary, chances in zip(unaries, crf.infer_unary(unaries), strict=True):
        assert chances.shape == unary.shape
        torch.testing.assert_close(chances.sum(0).cpu(), torch.ones(unary.shape[1:]), atol=1e-5, rtol=0)
    refined = crf.infer(labels, n_labels=N_LABELS)
    assert all(int(one.max()) < n for one, n in zip(refined, N_LABELS, strict=True))


def test_one_label_everywhere():
    photos = [photo_of(size, seed=0) for size in [(2, 3), (4, 1)]]
    crf = DenseCRF(photos)
    refined = crf.infer([torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(2, 4, 1)], n_labels=[1, 1])
    assert [one.tolist() for one in refined] == [[[0] * 3] * 2, [[[0]] * 4] * 2]
    chances = crf.infer_unary([torch.full((1, 2, 3), 5.0), torch.full((1, 4, 1), 5.0)])
    assert all((one == 1).all() for one in chances)


def test_strong_evidence_does_not_overflow():
    unary = torch.tensor([0.0, 1e4, -1e4])[:, None, None].expand(3, 4, 4)
    crf = DenseCRF([photo_of((4, 4), seed=0), photo_of((3, 2), seed=1)], bilateral_compat=1e4)
    chances, _ = crf.infer_unary([unary, torch.zeros(2, 3, 2)])
    assert torch.equal(chances.argmax(0), torch.full((4, 4), 2))
    assert chances.isfinite().all()


def test_bad_input_is_refused():
    photos = [photo_of((2, 2), seed=seed) for seed in range(2)]
    crf, fine = DenseCRF(photos), torch.tensor([[0, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"photo 1: labels 0…2 must lie in 0…1"):
        crf.infer([fine, 2 * fine], n_labels=[2, 2])
    with pytest.raises(ValueError, match="photo 0: labels -1…0 must lie in 0…1"):
        crf.infer([-fine, fine], n_labels=[2, 2])
    with pytest.raises(ValueError, match="1 given for 2 photos"):
        crf.infer([fine], n_labels=[2, 2])
    with pytest.raises(ValueError, match="3 given for 2 photos"):
        crf.infer_unary([torch.zeros(2, 2, 2)] * 3)
    with pytest.raises(ValueError, match="at least one photo"):
        DenseCRF([])
    with pytest.raises(ValueError, match="compat -1 and 10 must be at least 0"):
        DenseCRF(photos, gaussian_compat=-1)


def test_deviations_too_small_are_refused():
    photos = [photo_of((2, 2), seed=seed) for seed in range(20)]
    with pytest.raises(ValueError, match="lattice units, at most"):
        DenseCRF(photos, bilateral_srgb=1e-3)
    DenseCRF(photos[:1], bilateral_srgb=0.6)
    with pytest.raises(ValueError, match="vertices of 20 photos need"):
        DenseCRF(photos, bilateral_srgb=0.6)
