from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from irnet_pipe.data.photo_files import decode, examine, working_size
from irnet_pipe.data.photos import load_photo, normalise, rescale, shrink
from irnet_pipe.errors import InputError

RED, WHITE = (255, 0, 0), (255, 255, 255)
ORIENTATION = 0x0112


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    options = {"quality": 100} if suffix in ("jpg", "jpeg", "webp") else {}
    photo = load_photo(save(tmp_path / f"a.{suffix}", Image.new("RGB", (20, 30), RED), **options))
    assert photo.shape == (30, 20, 3)
    assert photo.dtype == np.uint8
    assert np.abs(photo.astype(int) - RED).max() <= 2


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("L", 90, "png", (90, 90, 90)),
        ("1", 1, "png", WHITE),
        ("1", 0, "tif", (0, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "tif", RED),
        ("RGBA", (255, 0, 0, 0), "png", WHITE),
        ("RGBA", (255, 0, 0, 128), "png", (255, 127, 127)),
        ("LA", (0, 128), "png", (127, 127, 127)),
        ("I;16", 65535, "png", WHITE),
        ("I;16", 40000, "tif", (156, 156, 156)),
        ("I;16", 128, "png", (0, 0, 0)),
        ("I", 257 * 7, "tif", (7, 7, 7)),
        ("YCbCr", (255, 128, 128), "jpg", WHITE),
    ],
)
def test_pixel_types(
    tmp_path: Path, mode: str, colour: object, suffix: str, expected: tuple[int, ...]
) -> None:
    photo = load_photo(save(tmp_path / f"a.{suffix}", Image.new(mode, (17, 16), colour)))  # type: ignore[arg-type]
    assert photo.shape == (16, 17, 3)
    assert (np.abs(photo.astype(int) - expected) <= 1).all(), photo[0, 0]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 16 * 16).reshape(16, 16).astype(np.uint16)
    photo = load_photo(save(tmp_path / "a.png", Image.fromarray(ramp)))
    assert (photo[..., 0] == np.round(ramp / 257)).all()


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert (load_photo(save(tmp_path / "a.png", image)) == RED).all()
    assert (load_photo(save(tmp_path / "b.png", image, transparency=1)) == WHITE).all()
    assert (load_photo(save(tmp_path / "c.png", image, transparency=bytes([0, 0]))) == WHITE).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_displayed(tmp_path: Path, suffix: str, orientation: int) -> None:
    array = np.zeros((16, 32, 3), dtype=np.uint8)
    array[:8, :16] = 255  # white at top left
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(array), exif=exif)
    turned = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.swapaxes(0, 1),
        6: np.rot90(array, -1),
        7: array[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(array),
    }[orientation]
    photo = load_photo(path)
    assert photo.shape == turned.shape
    assert np.abs(photo.astype(int) - turned).mean() < 12  # losses of JPEG and WebP
    facts = examine(path, max_pixels=10_000)
    assert (facts.height, facts.width) == turned.shape[:2]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6, 0.95])
def test_truncated_photos_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"half photo.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for look in (lambda: load_photo(path), lambda: examine(path, max_pixels=10**6)):
        with pytest.raises(InputError, match=r"half photo\.\w+: cannot be decoded .*; replace the file"):
            look()


def test_other_errors_name_file_bound_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.png: cannot be read .*; put the photo back"):
        load_photo(tmp_path / "no.png")
    big = save(tmp_path / "big.png", Image.new("L", (100, 101)))
    with pytest.raises(InputError, match=r"big\.png: 10100 pixels exceed dataset\.max_pixels 10000; scale"):
        examine(big, max_pixels=10_000)
    for mode in ("F", "LAB"):
        path = save(tmp_path / f"{mode}.tif", Image.new(mode, (20, 20)))
        with pytest.raises(InputError, match=r"not supported; convert"):
            load_photo(path)
    deep = save(tmp_path / "deep.tif", Image.new("I", (20, 20), 70_000))
    with pytest.raises(InputError, match="32-bit"):
        load_photo(deep)


def test_the_size_is_checked_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "bomb.png", Image.new("1", (20_000, 20_000)))
    data = path.read_bytes()
    with pytest.raises(InputError, match="400000000 pixels exceed"):
        decode(data[: len(data) // 2], path, max_pixels=64_000_000)
    with pytest.raises(InputError, match=r"400000000 pixels exceed dataset\.max_pixels 64000000"):
        load_photo(path, max_pixels=64_000_000)


@settings(deadline=None, max_examples=50)
@given(st.integers(16, 9000), st.integers(16, 9000), st.integers(16, 4096))
def test_working_size(height: int, width: int, long_side: int) -> None:
    h, w = working_size(height, width, long_side=long_side)
    assert max(h, w) == min(long_side, max(height, width))
    assert min(h, w) >= 1
    scale = max(h, w) / max(height, width)
    assert abs(h - height * scale) <= 0.5 or h == 1
    assert abs(w - width * scale) <= 0.5 or w == 1
    assert working_size(height, width, long_side=None) == (height, width)


def test_long_side_is_reached_without_aliasing(tmp_path: Path) -> None:
    stripes = np.zeros((400, 200, 3), dtype=np.uint8)
    stripes[::2] = 255
    photo = load_photo(save(tmp_path / "a.png", Image.fromarray(stripes)), long_side=40)
    assert photo.shape == (40, 20, 3)
    assert np.abs(photo.astype(int) - 127).max() <= 5
    assert load_photo(tmp_path / "a.png", long_side=400).shape == (400, 200, 3)
    thin = save(tmp_path / "b.png", Image.new("L", (8000, 16)))
    assert load_photo(thin, long_side=100).shape == (1, 100, 3)


@pytest.mark.parametrize("long_side", [None, 37, 400])
def test_shrinking_is_what_loading_does(
    tmp_path: Path, rng: np.random.Generator, long_side: int | None
) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(rng.integers(0, 256, (60, 90, 4), dtype=np.uint8)))
    loaded = load_photo(path, long_side=long_side)
    assert (shrink(load_photo(path), long_side=long_side) == loaded).all()


def test_rescale_is_pils_bicubic_at_rounded_sides(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (33, 51, 3), dtype=np.uint8)
    assert (rescale(photo, 1.0) == photo).all()
    half = rescale(photo, 0.5)
    assert half.shape == (round(16.5), round(25.5), 3)
    assert (half == np.asarray(Image.fromarray(photo).resize((26, 16), Image.Resampling.BICUBIC))).all()
    assert rescale(photo, 0.001).shape == (1, 1, 3)


def test_normalise(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    found = normalise(photo)
    expected = (photo / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert found.dtype == torch.float32
    assert found.shape == (3, 5, 7)
    np.testing.assert_allclose(found.numpy(), expected.transpose(2, 0, 1), rtol=1e-5, atol=1e-6)
