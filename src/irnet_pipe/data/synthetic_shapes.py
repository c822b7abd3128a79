"""Toy objects and backgrounds of the synthetic data set: where an object lies, and what it looks like.

An object is a plain body in a colour that hints at its class, and on one end of it a part whose pattern tells
the class for certain. A classifier needs the part alone, so its activation maps leave most of the body uncovered.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Pattern = Callable[[FloatArray, FloatArray], FloatArray]


def _float32(values: npt.ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float32)


def _stripes(u: FloatArray, v: FloatArray) -> FloatArray:
    return _float32(np.sin(9.0 * u))


def _checks(u: FloatArray, v: FloatArray) -> FloatArray:
    return _float32(np.sin(7.5 * u) * np.sin(7.5 * v) * 1.6)


def _rings(u: FloatArray, v: FloatArray) -> FloatArray:
    return _float32(np.sin(11.0 * np.hypot(u, v) + 1.0))


def _dots(u: FloatArray, v: FloatArray) -> FloatArray:
    return _float32(np.cos(8.0 * u) + np.cos(8.0 * v) - 0.6)


@dataclass(frozen=True)
class Kind:
    """One class: the outline of its body, the colour of it, and the pattern of its part.

    Attributes:
        name: name of the class.
        exponent: of the superellipse |u|^p + |v|^p = 1; 2 is an ellipse, more is boxier.
        elongation: range of the ratio of the axes.
        taper: how much narrower the body becomes towards the end without the part, 0 to 1.
        hue: of the body, 0 to 1.
        part_hue: of the pattern's bright half.
        pattern: value of the pattern, about −1 to 1, at part coordinates (u, v) in [−1, 1].
    """

    name: str
    exponent: float
    elongation: tuple[float, float]
    taper: float
    hue: float
    part_hue: float
    pattern: Pattern


KINDS = (
    Kind("beetle", 2.0, (1.1, 1.4), 0.0, 0.02, 0.14, _dots),
    Kind("fish", 2.0, (1.4, 1.8), 0.35, 0.58, 0.08, _stripes),
    Kind("snail", 2.0, (1.0, 1.25), 0.2, 0.82, 0.50, _rings),
    Kind("turtle", 2.8, (1.1, 1.4), 0.0, 0.33, 0.92, _checks),
)


@dataclass(frozen=True)
class Placement:
    """Where an object lies.

    Attributes:
        class_id: its class.
        centre: (y, x) in pixels.
        half_axes: (long, short) in pixels.
        angle: of the long axis, in radians from +x to +y; the part lies at its positive end.
    """

    class_id: int
    centre: tuple[float, float]
    half_axes: tuple[float, float]
    angle: float

    def reach(self, direction: float) -> float:
        """Pixels from the centre to the outline, taper left out, in a direction (radians from +x to +y)."""
        kind = KINDS[self.class_id]
        along, across = np.cos(direction - self.angle), np.sin(direction - self.angle)
        norm = (
            abs(along / self.half_axes[0]) ** kind.exponent + abs(across / self.half_axes[1]) ** kind.exponent
        )
        return float(norm ** (-1.0 / kind.exponent))

    def body_coordinates(self, height: int, width: int) -> tuple[FloatArray, FloatArray]:
        """Coordinates (u, v), each (H,W) float32, in which the outline lies at distance 1 along the axes."""
        y = np.arange(height, dtype=np.float32)[:, None] - np.float32(self.centre[0])
        x = np.arange(width, dtype=np.float32)[None, :] - np.float32(self.centre[1])
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        u = (cos * x + sin * y) / np.float32(self.half_axes[0])
        v = (cos * y - sin * x) / np.float32(self.half_axes[1])
        taper = np.float32(KINDS[self.class_id].taper)
        return _float32(u), _float32(v / (1.0 + taper * np.clip(u, -1.0, 1.0)))

    def body_distance(self, height: int, width: int) -> FloatArray:
        """(H,W) float32: 0 at the centre, 1 on the outline, more outside."""
        u, v = self.body_coordinates(height, width)
        exponent = np.float32(KINDS[self.class_id].exponent)
        return _float32(np.abs(u) ** exponent + np.abs(v) ** exponent)


def smooth_field(rng: np.random.Generator, height: int, width: int, *, cell: float) -> FloatArray:
    """(H,W) float32 noise of about unit deviation that varies over `cell` pixels."""
    rows, columns = max(2, round(height / cell) + 2), max(2, round(width / cell) + 2)
    coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def colour(hue: float, saturation: float, value: float) -> FloatArray:
    """(3,) float32 RGB in [0, 1]; the hue wraps around."""
    return _float32(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def paint_object(
    canvas: FloatArray, placement: Placement, mask: BoolArray, *, rng: np.random.Generator, hue_spread: float
) -> None:
    """Paints an object onto `canvas` (H,W,3; RGB in [0, 1]) inside `mask` (H,W), in place."""
    kind = KINDS[placement.class_id]
    height, width = mask.shape
    u, v = placement.body_coordinates(height, width)
    base = colour(kind.hue + rng.normal(0.0, hue_spread), rng.uniform(0.3, 0.65), rng.uniform(0.45, 0.85))
    tilt = rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    texture = 0.03 * smooth_field(rng, height, width, cell=4.0)
    distance = np.clip(placement.body_distance(height, width), 0.0, 1.0)
    roundness = 0.15 * distance + 0.25 * distance**6  # a round body darkens towards its outline
    shade = 1.05 + tilt[0] * u + tilt[1] * v - roundness + texture
    picture = base * shade[..., None]

    # the part sits at the wide end of the body, wholly inside of it
    radius = rng.uniform(0.34, 0.42)
    part_u, part_v = (
        (u - (0.9 - radius)) / radius,
        v / (radius * placement.half_axes[0] / placement.half_axes[1]),
    )
    bright = colour(kind.part_hue + rng.normal(0.0, 0.03), rng.uniform(0.4, 0.7), 0.95)
    dark = colour(rng.uniform(), 0.4, rng.uniform(0.08, 0.2))
    blend = np.clip(0.5 + 1.5 * kind.pattern(part_u, part_v), 0.0, 1.0)[..., None]
    inside = (part_u**2 + part_v**2 < 1.0) & mask
    canvas[mask] = picture[mask]
    canvas[inside] = (bright * blend + dark * (1.0 - blend))[inside]


def paint_background(canvas: FloatArray, *, rng: np.random.Generator) -> None:
    """Fills `canvas` (H,W,3) in place with a smooth colour, texture, and clutter of bars and blobs."""
    height, width, _ = canvas.shape
    base = colour(rng.uniform(), rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.8))
    for channel in range(3):
        canvas[..., channel] = base[channel] + 0.03 * smooth_field(rng, height, width, cell=60.0)
    canvas += (0.06 * smooth_field(rng, height, width, cell=40.0))[..., None]
    canvas += (0.03 * smooth_field(rng, height, width, cell=rng.uniform(2.0, 8.0)))[..., None]
    for _ in range(rng.integers(6, 15)):
        _paint_clutter(canvas, rng=rng)


def _paint_clutter(canvas: FloatArray, *, rng: np.random.Generator) -> None:
    height, width, _ = canvas.shape
    angle = rng.uniform(0.0, 2 * np.pi)
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.uniform(0, height))
    x = np.arange(width, dtype=np.float32)[None, :] - np.float32(rng.uniform(0, width))
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    across = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    half = rng.uniform(4.0, 13.0)
    thin = rng.uniform(1.0, 6.0)
    if rng.uniform() < 0.5:
        mask = (np.abs(along) < 2 * half) & (np.abs(across) < 0.5 * thin + 0.5)
    else:
        mask = (along / half) ** 2 + (across / (0.5 * half + thin)) ** 2 < 1.0
    stripes = 1.0 + rng.uniform(0.0, 0.3) * np.sin(along[mask] * np.float32(rng.uniform(0.5, 2.0)))
    paint = colour(rng.uniform(), rng.uniform(0.0, 0.55), rng.uniform(0.2, 0.9)) * stripes[:, None]
    opacity = np.float32(rng.uniform(0.4, 0.9))
    canvas[mask] = opacity * paint + (1.0 - opacity) * canvas[mask]
