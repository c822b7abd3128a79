"""The demo's data set: seeded toy scenes with image-level labels, and ground truth for evaluation.

Laid out like a PASCAL VOC folder, with `image_labels.csv` in place of the XML files. Image i depends on
(seed, i, size) alone, so a larger set begins with the images of a smaller one.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from irnet_pipe.data.synthetic_shapes import (
    KINDS,
    BoolArray,
    FloatArray,
    Placement,
    paint_background,
    paint_object,
    smooth_field,
)
from irnet_pipe.errors import InputError
from irnet_pipe.export.voc import encode_png

CLASS_NAMES = tuple(kind.name for kind in KINDS)
MIN_SIZE = 48
NEGATIVE_EVERY = 10  # one image in ten shows no object
LARGEST_OBJECT = 0.30  # geometric mean of the half-axes, as a share of `size`
SIZE_RATIO = 4.3  # largest by smallest object in length: two octaves
HUE_SPREAD = 0.05
TRIALS = 12  # to find room for an object before it is left out
LEAST_INSIDE = 0.8  # share of an object's area that must lie within the image
LEAST_VISIBLE = 0.65  # share of an object that objects in front of it must leave visible


@dataclass(frozen=True)
class Scene:
    """One image with its ground truth.

    Attributes:
        image: (H,W,3) uint8 RGB.
        instance_map: (H,W) uint8, 0 background, n the n-th object.
        class_ids: class_id of each object, in the order of the instance map.
    """

    image: npt.NDArray[np.uint8]
    instance_map: npt.NDArray[np.uint8]
    class_ids: tuple[int, ...]

    @property
    def label_map(self) -> npt.NDArray[np.uint8]:
        """(H,W) uint8: 0 background, class_id + 1."""
        labels = np.array([0, *(class_id + 1 for class_id in self.class_ids)], dtype=np.uint8)
        return labels[self.instance_map]


def generate(folder: Path, *, seed: int, images: int = 320, size: int = 192, held_out: int = 0) -> None:
    """Writes a data set; the same arguments give the same bytes.

    JPEGImages/*.jpg, SegmentationClass/*.png and SegmentationObject/*.png (VOC palette), ImageSets/train.txt,
    ImageSets/val.txt where images are held out, and image_labels.csv (columns image_id and labels, the latter joined
    by ';' and empty where there is no object).

    Args:
        folder: made if it does not exist.
        seed: of all randomness, not negative.
        images: how many, from 1.
        size: mean side of a photo in pixels, from 48.
        held_out: further images, which are in val.txt; those before them are what they would be without.

    Raises:
        InputError: a value out of its bounds, or a folder that holds files already.
    """
    bounds = (("seed", seed, 0), ("images", images, 1), ("size", size, MIN_SIZE), ("held_out", held_out, 0))
    for name, value, bound in bounds:
        if value < bound:
            raise InputError(f"{name} is {value}; give {bound} or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is no empty folder; name another one, or delete it")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a generation that was interrupted
    scenes = ((f"scene_{i:05d}", make_scene(i, seed=seed, size=size)) for i in range(images + held_out))
    _write(partial, scenes, train=images)
    partial.replace(folder)


def _write(folder: Path, scenes: Iterable[tuple[str, Scene]], *, train: int) -> None:
    names = ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets")
    photos, classes, objects, lists = (folder / name for name in names)
    for path in (photos, classes, objects, lists):
        path.mkdir(parents=True)
    rows = []
    for image_id, scene in scenes:
        Image.fromarray(scene.image).save(photos / f"{image_id}.jpg", quality=95, subsampling=0)
        (classes / f"{image_id}.png").write_bytes(encode_png(scene.label_map))
        (objects / f"{image_id}.png").write_bytes(encode_png(scene.instance_map))
        rows.append((image_id, ";".join(CLASS_NAMES[class_id] for class_id in sorted(set(scene.class_ids)))))
    for name, part in (("train", rows[:train]), ("val", rows[train:])):
        if part:
            text = "".join(f"{image_id}\n" for image_id, _ in part)
            (lists / f"{name}.txt").write_text(text, encoding="utf-8")
    with (folder / "image_labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("image_id", "labels"), *rows])


def make_scene(index: int, *, seed: int, size: int = 192) -> Scene:
    """Draws image number `index`; its sides are within a tenth of `size` pixels."""
    rng = np.random.default_rng([seed, index])
    height, width = (int(rng.integers(round(0.9 * size), round(1.1 * size) + 1)) for _ in range(2))
    placements: list[Placement] = []
    instance_map = np.zeros((height, width), dtype=np.uint8)
    if index % NEGATIVE_EVERY != NEGATIVE_EVERY - 1:
        placements, instance_map = _arrange(height, width, size=size, rng=rng)
    canvas = np.empty((height, width, 3), dtype=np.float32)
    paint_background(canvas, rng=rng)
    for number, placement in enumerate(placements, start=1):
        paint_object(canvas, placement, instance_map == number, rng=rng, hue_spread=HUE_SPREAD)
    image = _photograph(canvas, rng=rng)
    return Scene(image, instance_map, tuple(placement.class_id for placement in placements))


def _arrange(
    height: int, width: int, *, size: int, rng: np.random.Generator
) -> tuple[list[Placement], npt.NDArray[np.uint8]]:
    """Places one to three objects of each of one or two classes; those placed later lie in front."""
    placements: list[Placement] = []
    areas: list[int] = []
    instance_map = np.zeros((height, width), dtype=np.uint8)
    for class_id in rng.permutation(len(KINDS))[: rng.choice([1, 2], p=[0.6, 0.4])]:
        group: list[int] = []
        for _ in range(rng.choice([1, 2, 3], p=[0.48, 0.42, 0.1])):
            sibling = int(rng.choice(group)) if group and rng.uniform() < 0.7 else None
            for _ in range(TRIALS):
                near = None if sibling is None else placements[sibling]
                placement = _propose(int(class_id), height, width, size=size, near=near, rng=rng)
                mask = placement.body_distance(height, width) < 1.0
                inside = mask.sum() >= LEAST_INSIDE * np.pi * np.prod(placement.half_axes)
                if inside and _fits(mask, instance_map, areas, sibling=sibling):
                    group.append(len(placements))
                    placements.append(placement)
                    areas.append(int(mask.sum()))
                    instance_map[mask] = len(placements)
                    break
    return placements, instance_map


def _propose(
    class_id: int, height: int, width: int, *, size: int, near: Placement | None, rng: np.random.Generator
) -> Placement:
    """An object anywhere, or one whose outline meets that of `near`, of about the same size."""
    if near is None:
        radius = LARGEST_OBJECT * size * SIZE_RATIO ** -rng.beta(1.5, 2.5)
    else:
        radius = np.sqrt(np.prod(near.half_axes)) * rng.uniform(0.75, 1.3)
        radius = np.clip(radius, LARGEST_OBJECT * size / SIZE_RATIO, LARGEST_OBJECT * size)
    stretch = np.sqrt(rng.uniform(*KINDS[class_id].elongation))
    half_axes, angle = (float(radius * stretch), float(radius / stretch)), rng.uniform(0.0, 2 * np.pi)
    if near is None:
        margin = 0.8 * radius
        centre = (rng.uniform(margin, height - margin), rng.uniform(margin, width - margin))
        return Placement(class_id, centre, half_axes, angle)
    direction = rng.uniform(0.0, 2 * np.pi)
    reach = near.reach(direction) + Placement(class_id, (0.0, 0.0), half_axes, angle).reach(direction)
    distance = reach * rng.uniform(0.88, 1.0)
    centre = (near.centre[0] + distance * np.sin(direction), near.centre[1] + distance * np.cos(direction))
    return Placement(class_id, centre, half_axes, angle)


def _fits(
    mask: BoolArray, instance_map: npt.NDArray[np.uint8], areas: list[int], *, sibling: int | None
) -> bool:
    """Whether an object leaves the others visible and touches its sibling (if any), else nothing."""
    visible = np.bincount(instance_map[~mask], minlength=len(areas) + 1)[1:]
    if (visible < LEAST_VISIBLE * np.array(areas)).any():
        return False
    met = np.unique(instance_map[ndimage.binary_dilation(mask)])
    return sibling + 1 in met if sibling is not None else not met.any()


def _photograph(canvas: FloatArray, *, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Lighting, blur and noise of a camera: (H,W,3) RGB in [0, 1] to uint8."""
    height, width, _ = canvas.shape
    light = rng.uniform(0.75, 1.15) * (1.0 + 0.06 * smooth_field(rng, height, width, cell=80.0))
    blur = rng.uniform(0.0, 0.8)
    picture = ndimage.gaussian_filter(canvas * light[..., None], (blur, blur, 0.0))
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 3.0) / 255)
    return np.asarray(np.clip(picture * 255.0, 0, 255).round(), dtype=np.uint8)
