"""Arrays of the pipeline as pictures. Pure functions; a picture has the size of the array it shows."""

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from irnet_pipe.export.voc import VOID, voc_palette
from irnet_pipe.numerics.run_lengths import decode_rle

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating]

# Anchors of the colour maps of the same names, evenly spaced over [0, 1]; colours between are interpolated.
TURBO = (
    (48, 18, 59),
    (70, 107, 227),
    (40, 188, 235),
    (50, 242, 152),
    (164, 252, 60),
    (238, 207, 58),
    (251, 126, 33),
    (209, 50, 5),
    (122, 4, 3),
)
INFERNO = (
    (0, 0, 4),
    (22, 11, 57),
    (66, 10, 104),
    (106, 23, 110),
    (147, 38, 103),
    (188, 55, 84),
    (221, 81, 58),
    (243, 120, 25),
    (252, 165, 10),
    (246, 215, 70),
    (252, 255, 164),
)

HATCH_WIDTH = 4
GOLDEN_RATIO = 0.618034


def fit(image: Image.Image, *, long_side: int, smooth: bool = True) -> Image.Image:
    """Scale a picture so that its long side has `long_side` pixels; smooth=False keeps flat colours flat."""
    scale = long_side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)


def draw_cam(cam: FloatArray) -> Image.Image:
    """The strongest CAM at each pixel as heat.

    Args:
        cam: (k, h, w) in [0, 1]. k may be 0.
    """
    return Image.fromarray(colour_map(cam.max(axis=0, initial=0), anchors=TURBO))


def draw_labels(
    labels: npt.NDArray[np.integer], *, local_labels: Sequence[int] | None = None, void: int = VOID
) -> Image.Image:
    """A label map in VOC colours, background transparent, void as a light grey hatch.

    Beyond 253 labels the colours repeat: a palette has two more for the hatch and one for the background.

    Args:
        labels: (H, W): 0 background, 1… labels, and void.
        local_labels: what local labels 1…k stand for, class_id + 1 each; by default labels are not local.
        void: label of void or neutral pixels.
    """
    is_void = labels == void
    shown = np.where(is_void, 0, labels).astype(np.int64)
    if local_labels is not None:
        shown = np.array([0, *local_labels])[shown]
    index = np.where(shown > 0, 1 + (shown - 1) % HATCH, 0)
    index[is_void] = (HATCH + 1 + _stripes(*labels.shape))[is_void]
    return _indexed(index, LABEL_COLOURS, opacity=[0] + [255] * HATCH + [200, 200])


def draw_masks(masks: npt.NDArray[np.bool_]) -> Image.Image:
    """Instance masks on a transparent ground, each tinted and outlined in its colour; later ones lie on top.

    Args:
        masks: (m, H, W) bool; mask i has colour i of `INSTANCE_COLOURS`, which repeat.
    """
    index = np.zeros(masks.shape[1:], dtype=np.uint8)
    for number, mask in enumerate(masks):
        tint = 1 + 2 * (number % len(INSTANCE_COLOURS))
        index[mask] = tint
        index[_outline(mask)] = tint + 1
    colours = np.concatenate([np.zeros((1, 3), dtype=np.uint8), np.repeat(INSTANCE_COLOURS, 2, axis=0)])
    return _indexed(index, colours, opacity=[0] + [TINT, 255] * len(INSTANCE_COLOURS))


def draw_classes(
    class_id: npt.NDArray[np.integer],
    masks: Sequence[npt.NDArray[np.uint32]],
    *,
    size: tuple[int, int],
    shown: tuple[int, int],
) -> Image.Image:
    """A semantic mask, given by the run lengths of each class, as `draw_labels` draws label maps; see `decode_at`."""
    labels = np.zeros(shown, dtype=np.int64)
    for number, mask in zip(class_id.tolist(), decode_at(masks, size=size, shown=shown), strict=True):
        labels[mask] = number + 1
    return draw_labels(labels, void=-1)


def draw_boundary(boundary: FloatArray) -> Image.Image:
    """A boundary map (h, w) in [0, 1]: dark where there is none, bright on boundaries."""
    return Image.fromarray(colour_map(boundary, anchors=INFERNO))


def draw_displacement(displacement: FloatArray) -> Image.Image:
    """A displacement field (2, h, w), (dy, dx): hue is the direction, colour strength the length.

    The longest displacement of the picture is fully coloured; where nothing moves, it is white.
    """
    dy, dx = displacement.astype(np.float32)
    length = np.hypot(dy, dx)
    hue = np.mod(np.arctan2(dy, dx) / (2 * np.pi), 1)
    strength = length / max(float(length.max(initial=0)), 1e-6)
    hsv = np.rint(255 * np.stack([hue, strength, np.ones_like(hue)], axis=2)).astype(np.uint8)
    return Image.frombytes("HSV", (hue.shape[1], hue.shape[0]), hsv.tobytes()).convert("RGB")


def draw_instance_map(instance_map: npt.NDArray[np.integer]) -> Image.Image:
    """A class-agnostic instance map (h, w), 0…n−1, each number in a colour of its own."""
    return Image.fromarray(distinct_colours(int(instance_map.max(initial=0)) + 1)[instance_map])


def draw_instances(
    photo: UInt8Array, masks: npt.NDArray[np.bool_], *, colours: UInt8Array | None = None
) -> Image.Image:
    """Instance masks over the photo, each tinted and outlined in its colour; later ones lie on top.

    Args:
        photo: (H, W, 3) uint8.
        masks: (m, H, W) bool.
        colours: (m, 3); distinct ones if None.
    """
    picture = photo.astype(np.float32)
    colours = distinct_colours(len(masks)) if colours is None else colours
    for mask, colour in zip(masks, colours.astype(np.float32), strict=True):
        picture[mask] = 0.5 * picture[mask] + 0.5 * colour
        picture[_outline(mask)] = colour
    return Image.fromarray(np.rint(picture).astype(np.uint8))


def decode_at(
    masks: Sequence[npt.NDArray[np.uint32]], *, size: tuple[int, int], shown: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Run lengths of masks of a photo of `size` (H, W) as (m, h, w) bool, at the size (h, w) at which it is shown."""
    rows, columns = (np.arange(to) * side // to for side, to in zip(size, shown, strict=True))
    stack = [decode_rle(runs, size=size)[np.ix_(rows, columns)] for runs in masks]
    return np.array(stack, dtype=bool).reshape(-1, *shown)


def colour_map(values: FloatArray, *, anchors: Sequence[tuple[int, int, int]]) -> UInt8Array:
    """Colours (…, 3) uint8 of values (…) in [0, 1]; values beyond are clipped."""
    table = np.array(anchors, dtype=np.float64)
    positions = np.linspace(0, 1, len(table))
    channels = [np.interp(values, positions, table[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def distinct_colours(n: int) -> UInt8Array:
    """(n, 3) colours; hues advance by the golden ratio, so that numbers in sequence look different."""
    colours = [
        colorsys.hsv_to_rgb((0.02 + i * GOLDEN_RATIO) % 1, (0.85, 0.6, 0.7)[i % 3], (0.95, 0.9, 0.7)[i % 3])
        for i in range(n)
    ]
    return np.asarray(np.rint(255 * np.array(colours).reshape(n, 3)), dtype=np.uint8)


def _stripes(height: int, width: int) -> npt.NDArray[np.integer]:
    """(height, width) 0 and 1 in diagonal stripes."""
    return (np.arange(height)[:, None] + np.arange(width)) // HATCH_WIDTH % 2


def _indexed(index: npt.NDArray[np.integer], colours: UInt8Array, *, opacity: Sequence[int]) -> Image.Image:
    """A palette picture; `opacity` of each colour, 0…255, is stored with it as PNG."""
    image = Image.fromarray(index.astype(np.uint8))
    image.putpalette(colours.tobytes())
    image.info["transparency"] = bytes(opacity)
    return image


def _outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of the mask that touch its outside or the picture's edge, two pixels wide."""
    inner = mask
    for _ in range(2):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


HATCH = 253
"""Labels that have a colour of their own beside the hatch of void."""
LABEL_COLOURS = np.concatenate(
    [voc_palette()[: HATCH + 1], np.array([(232, 232, 232), (205, 205, 205)], dtype=np.uint8)]
)
"""(256, 3): background, labels, and the two colours of the hatch."""
INSTANCE_COLOURS = distinct_colours(64)
"""Colours of instances in the order of their numbers; they repeat."""
TINT = 150
"""Opacity of a mask within its outline, of 255."""
