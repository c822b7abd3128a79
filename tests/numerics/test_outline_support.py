"""Support of outlines, against a plain twin and on a disc."""

import numpy as np
import pytest

from irnet_pipe.numerics.outline_support import OutlineSupport, gradient_rank, outlines

THRESHOLDS = (0.1, 0.3, 0.5, 0.7)


def cut(labels, best):
    return np.stack([np.where(best > threshold, labels, 0) for threshold in THRESHOLDS])


def plain_outlines(labels):
    found = np.zeros(labels.shape, dtype=bool)
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    found[y, x] |= labels[y, x] != labels[y + dy, x + dx]
    return found


def plain_support(images, *, tolerance):
    support = []
    for i in range(len(THRESHOLDS)):
        boundaries, ranks = [], []
        for labels, boundary, rank in images:
            for y, x in np.argwhere(plain_outlines(labels[i])):
                window = (
                    slice(max(y - tolerance, 0), y + tolerance + 1),
                    slice(max(x - tolerance, 0), x + tolerance + 1),
                )
                boundaries.append(boundary[window].max())
                ranks.append(rank[y, x])
        support.append(np.mean(boundaries) * np.sqrt(np.mean(ranks)) if boundaries else 0)
    return support


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_equals_a_plain_twin(tolerance):
    rng = np.random.default_rng(0)
    images = []
    for size in ((9, 13), (7, 8)):
        best, boundary, rank = (rng.random(size, dtype=np.float32) for _ in range(3))
        images.append((cut(rng.integers(1, 3, size), 0.65 * best), boundary, rank))
    support = OutlineSupport(len(THRESHOLDS), tolerance=tolerance)
    for labels, boundary, rank in images:
        support.add(labels, boundary=boundary, rank=rank)
    np.testing.assert_allclose(support.result(), plain_support(images, tolerance=tolerance), rtol=1e-6)
    assert support.result()[-1] == 0, "no mask is left at the last threshold"


def test_the_outline_of_a_disc_has_most_support():
    y, x = np.mgrid[:64, :64] - 31.5
    distance = np.hypot(y, x)
    best = np.exp(-distance / 24).astype(np.float32)  # 0.5 at a distance of 16.6
    boundary = np.exp(-((distance - 16.6) ** 2) / 8).astype(np.float32)
    photo = np.repeat(np.where(distance < 16.6, 200, 60)[..., None], 3, axis=2).astype(np.uint8)
    support = OutlineSupport(len(THRESHOLDS), tolerance=1)
    labels = cut(np.ones(best.shape, dtype=np.int32), best)
    support.add(labels, boundary=boundary, rank=gradient_rank(photo))
    assert THRESHOLDS[int(support.result().argmax())] == 0.5


def test_ranks_are_shares_of_weaker_pixels_and_know_no_contrast():
    rng = np.random.default_rng(1)
    photo = rng.integers(0, 120, (20, 30, 3)).astype(np.uint8)
    rank = gradient_rank(photo)
    assert sorted(rank.ravel() * rank.size) == pytest.approx(range(rank.size), abs=1e-3)
    np.testing.assert_allclose(gradient_rank(2 * photo), rank, atol=0.01)


def test_the_edge_of_the_photo_is_no_outline():
    assert not outlines(np.ones((5, 6), dtype=np.int32)).any()
