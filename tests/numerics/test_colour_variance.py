"""Variance of colour that labels explain, against a plain twin and on a disc."""

import numpy as np
import pytest
from scipy import ndimage

from irnet_pipe.numerics.colour_variance import SMOOTHING, explained_variance


def plain_share(label, photo):
    smooth = ndimage.gaussian_filter(photo.astype(np.float64), (SMOOTHING, SMOOTHING, 0))
    within = sum(
        ((smooth[label == value] - smooth[label == value].mean(axis=0)) ** 2).sum()
        for value in np.unique(label)
    )
    return 1 - within / ((smooth - smooth.mean(axis=(0, 1))) ** 2).sum()


@pytest.mark.parametrize("size", [(9, 13), (1, 8), (40, 31)])
def test_equals_a_plain_twin(size):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = rng.integers(0, 4, (5, *size)) * np.array([0, 1, 1, 2, 1])[:, None, None]
    found = explained_variance(labels, photo)
    np.testing.assert_allclose(found, [plain_share(label, photo) for label in labels], atol=1e-9)
    assert found[0] == pytest.approx(0, abs=1e-12), "one label"


@pytest.mark.parametrize("colour", [0, 77, 255])
def test_nothing_is_explained_where_there_is_one_colour(colour):
    labels = np.arange(2 * 6 * 7).reshape(2, 6, 7)
    assert explained_variance(labels, np.full((6, 7, 3), colour, np.uint8)).tolist() == [0, 0]


def test_the_disc_itself_explains_most():
    y, x = np.mgrid[:64, :64] - 31.5
    distance = np.hypot(y, x)
    photo = np.where((distance < 16)[..., None], [200, 40, 90], [60, 130, 100]).astype(np.uint8)
    radii = (6, 11, 16, 21, 26)
    found = explained_variance(np.stack([(distance < radius).astype(int) for radius in radii]), photo)
    assert radii[int(found.argmax())] == 16 and found.max() > 0.9
