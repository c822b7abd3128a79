"""Photos as arrays: (H, W, 3) uint8 RGB, upright, at the size at which the method works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.data.photo_files import decode, working_size
from irnet_pipe.errors import InputError

if TYPE_CHECKING:  # most of those who open photos do without torch
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


def load_photo(
    path: Path, *, long_side: int | None = None, max_pixels: int | None = None
) -> NDArray[np.uint8]:
    """Load a photo (H, W, 3) as displayed.

    EXIF orientation is applied, transparency is laid on white, 16 bits a channel are scaled to 8.

    Args:
        path: a JPEG, PNG, WebP, TIFF or BMP file.
        long_side: bound of the longer side, to which photos are scaled down (bicubic, antialiased).
        max_pixels: greatest number of pixels of the file, checked before it is decoded.

    Raises:
        InputError: the file is missing, damaged, too large, of several pictures, or of a pixel type that is not
            supported.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); put the photo back, or index anew"
        ) from None
    image = _rgb(decode(data, path, max_pixels=max_pixels))
    height, width = working_size(image.height, image.width, long_side=long_side)
    return _resized(image, height, width)


def shrink(photo: NDArray[np.uint8], *, long_side: int | None) -> NDArray[np.uint8]:
    """A photo (H, W, 3) as `load_photo` gives it with this `long_side`."""
    return _resized(Image.fromarray(photo), *working_size(*photo.shape[:2], long_side=long_side))


def rescale(photo: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale a photo (H, W, 3) to sides round(side·scale), 1 at least (bicubic, antialiased; docs/method.md, 2)."""
    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    return _resized(Image.fromarray(photo), height, width)


def normalise(photo: NDArray[np.uint8]) -> torch.Tensor:
    """Normalise a photo (H, W, 3) uint8 by ImageNet's mean and deviation → (3, H, W) float32."""
    import torch

    scaled = torch.from_numpy(photo).permute(2, 0, 1).float() / 255
    mean, deviation = (torch.tensor(value)[:, None, None] for value in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (scaled - mean) / deviation


def _resized(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT_MODES:
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")
