"""What segmenters find, drawn over the photo: masks tinted and outlined, with names of classes and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from irnet_pipe.artifacts.masks import InstanceMasks
from irnet_pipe.export.voc import voc_palette
from irnet_pipe.report.figures import decode_at, distinct_colours, draw_instances, fit

LONG_SIDE = 1280
"""Of a picture at most: masks in the photo's own size are in other files."""


def draw_found_instances(
    photo: NDArray[np.uint8], found: InstanceMasks, *, class_names: Sequence[str], min_score: float
) -> Image.Image:
    """Instances of `min_score` or more over a photo (H, W, 3), each in a colour of its own, the best on top."""
    shown = np.flatnonzero(found.score >= min_score)[::-1].tolist()
    picture = _fitted(photo)
    masks = decode_at([found.runs[i] for i in shown], size=photo.shape[:2], shown=picture.shape[:2])
    texts = [f"{class_names[found.class_id[i]]} {found.score[i]:.2f}" for i in shown]
    return _drawn(picture, masks, distinct_colours(len(shown)), texts)


def draw_found_classes(
    photo: NDArray[np.uint8], label: NDArray[np.uint8], *, class_names: Sequence[str]
) -> Image.Image:
    """Classes of a label map (H, W) over its photo (H, W, 3), in VOC colours."""
    picture = _fitted(photo)
    size = (picture.shape[1], picture.shape[0])
    small = np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST))
    seen = [int(number) for number in np.unique(small) if number]
    masks = np.array([small == number for number in seen], dtype=bool).reshape(-1, *small.shape)
    return _drawn(picture, masks, voc_palette()[seen], [class_names[number - 1] for number in seen])


def _fitted(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if max(photo.shape[:2]) <= LONG_SIDE:
        return photo
    return np.asarray(fit(Image.fromarray(photo), long_side=LONG_SIDE))


def _drawn(
    photo: NDArray[np.uint8], masks: NDArray[np.bool_], colours: NDArray[np.uint8], texts: Sequence[str]
) -> Image.Image:
    picture = draw_instances(photo, masks, colours=colours)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, max(picture.size) // 50))
    for mask, colour, text in zip(masks, colours.tolist(), texts, strict=True):
        if mask.any():
            _tag(draw, mask, text, colour=tuple(colour), font=font)
    return picture


def _tag(
    draw: ImageDraw.ImageDraw,
    mask: NDArray[np.bool_],
    text: str,
    *,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """A text on its colour, in the picture, at the pixel of the mask nearest to the mask's centre."""
    y, x = np.nonzero(mask)
    centre = int(np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, tall = right - left + 4, bottom - top + 4
    at_x = min(max(int(x[centre] - wide / 2), 0), max(mask.shape[1] - int(wide), 0))
    at_y = min(max(int(y[centre] - tall / 2), 0), max(mask.shape[0] - int(tall), 0))
    draw.rectangle((at_x, at_y, at_x + wide, at_y + tall), fill=colour)
    bright = np.dot(colour, (0.299, 0.587, 0.114)) > 128
    draw.text((at_x + 2 - left, at_y + 2 - top), text, fill="black" if bright else "white", font=font)
