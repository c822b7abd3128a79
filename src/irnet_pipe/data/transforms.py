"""Random views of a photo for training: size, mirror and crop, the same for its label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from irnet_pipe.data.photos import normalise

NEUTRAL = 255


@dataclass(frozen=True, slots=True)
class Window:
    """What part of an image fills what part of a square crop, as (y, x) slices."""

    source: tuple[slice, slice]
    target: tuple[slice, slice]


def random_window(height: int, width: int, *, side: int, rng: np.random.Generator) -> Window:
    """Place a crop: inside a longer side of the image, and a shorter one anywhere inside the crop."""
    spans = [_random_span(length, side, rng) for length in (height, width)]
    return Window((spans[0][0], spans[1][0]), (spans[0][1], spans[1][1]))


def _random_span(length: int, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    start = int(rng.integers(abs(length - side) + 1))
    if length > side:
        return slice(start, start + side), slice(0, side)
    return slice(0, length), slice(start, start + length)


def mirror(array: NDArray[Any]) -> NDArray[Any]:
    """Left and right exchanged in (H, W, …)."""
    return np.flip(array, axis=1)


def crop_photo(photo: NDArray[np.uint8], window: Window, *, side: int) -> Tensor:
    """Crop (H, W, 3) to (3, side, side), normalised; 0, the mean colour, outside of the photo."""
    crop = torch.zeros(3, side, side)
    crop[:, *window.target] = normalise(np.ascontiguousarray(photo[window.source]))
    return crop


def crop_scores(score: NDArray[np.uint8], window: Window, *, side: int) -> Tensor:
    """Crop (H, W, c) shares of 255 to (c, side, side) float32 shares of 1; 0 outside of the photo."""
    crop = torch.zeros(score.shape[-1], side, side)
    crop[:, *window.target] = torch.from_numpy(score[window.source].transpose(2, 0, 1) / np.float32(255))
    return crop


def jitter_colours(
    photo: NDArray[np.uint8], strength: Sequence[float], *, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change the colours of (H, W, 3) as torchvision's ColorJitter does.

    Args:
        photo: as displayed.
        strength: of brightness, contrast and saturation, whose factors are drawn from 1 ± strength, and of hue, whose
            shift is drawn from ± strength turns; at most 1, and .5 of hue.
        rng: draws shifts and factors, and the order of the four changes.
    """
    from torchvision.transforms import functional  # here, as most stages do without torchvision

    image = Image.fromarray(photo)
    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    for index in rng.permutation(len(changes)):
        neutral = 0 if changes[index] is functional.adjust_hue else 1
        image = changes[index](image, neutral + strength[index] * rng.uniform(-1, 1))
    return np.array(image)  # a copy: what PIL holds is not writable


def crop_labels(label: NDArray[np.uint8], window: Window, *, side: int) -> Tensor:
    """Crop (H, W) to (side, side) uint8; neutral outside of the label map."""
    crop = np.full((side, side), NEUTRAL, dtype=np.uint8)
    crop[window.target] = label[window.source]
    return torch.from_numpy(crop)


def resize_labels(label: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Nearest label, as PIL places it."""
    return np.asarray(Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST))
