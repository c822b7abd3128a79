import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.data.photos import normalise
from irnet_pipe.data.transforms import crop_labels, crop_photo, mirror, random_window, resize_labels


def length(part: slice) -> int:
    return part.stop - part.start


@settings(deadline=None, max_examples=50)
@given(
    height=st.integers(1, 50), width=st.integers(1, 50), side=st.integers(1, 40), seed=st.integers(0, 2**32)
)
def test_window_holds_all_it_can(height, width, side, seed):
    window = random_window(height, width, side=side, rng=np.random.default_rng(seed))
    for size, source, target in zip((height, width), window.source, window.target, strict=True):
        assert length(source) == length(target) == min(size, side)
        assert 0 <= source.start <= source.stop <= size
        assert 0 <= target.start <= target.stop <= side


@pytest.mark.parametrize(("size", "side"), [(3, 5), (5, 3)])
def test_every_place_is_drawn(size, side, rng):
    windows = [random_window(size, size, side=side, rng=rng) for _ in range(200)]
    starts = {(window.source[0].start, window.target[0].start) for window in windows}
    assert starts == {(0, i) if size < side else (i, 0) for i in range(3)}


def test_crop_is_normalised_first_and_padded_with_zeros(rng):
    photo = rng.integers(0, 256, (4, 9, 3), dtype=np.uint8)
    window = random_window(4, 9, side=6, rng=rng)
    crop = crop_photo(photo, window, side=6)
    assert crop.shape == (3, 6, 6)
    assert crop.dtype == torch.float32
    (y, x), (top, left) = [tuple(part.start for part in parts) for parts in (window.source, window.target)]
    expected = np.zeros((3, 6, 6), dtype=np.float32)
    for row in range(4):
        for column in range(6):
            pixel = photo[y + row : y + row + 1, x + column : x + column + 1]
            expected[:, top + row, left + column] = normalise(pixel)[:, 0, 0]
    np.testing.assert_array_equal(crop.numpy(), expected)


def test_labels_follow_the_photo_and_are_padded_with_neutral(rng):
    label = rng.integers(0, 4, (4, 9), dtype=np.uint8)
    photo = np.repeat(label[..., None], 3, axis=2)
    window = random_window(4, 9, side=6, rng=rng)
    cropped = crop_labels(mirror(label), window, side=6)
    inside = cropped != 255
    assert inside.sum() == 24
    expected = torch.stack([normalise(np.full((1, 1, 3), i, np.uint8))[:, 0, 0] for i in range(4)], 1)
    crop = crop_photo(mirror(photo), window, side=6)
    assert crop[:, inside].equal(expected[:, cropped[inside].long()])
    assert crop[:, ~inside].eq(0).all()


def test_mirror_exchanges_left_and_right():
    assert mirror(np.arange(6).reshape(2, 3)).tolist() == [[2, 1, 0], [5, 4, 3]]


def test_labels_are_resized_to_the_nearest_pixel_centre(rng):
    label = rng.integers(0, 255, (7, 5), dtype=np.uint8)
    resized = resize_labels(label, 10, 3)
    rows, columns = [int((i + 0.5) * 7 / 10) for i in range(10)], [int((i + 0.5) * 5 / 3) for i in range(3)]
    np.testing.assert_array_equal(resized, label[np.ix_(rows, columns)])
