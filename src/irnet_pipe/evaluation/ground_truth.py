"""Ground truth for evaluation, read lazily one image at a time: VOC palette PNGs or a COCO json.

Nothing but evaluation and the report reads this. Masks are those of the displayed photo: the files are taken
as they are, no EXIF orientation is applied to them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.mask_set import MaskSet, make_mask_set
from irnet_pipe.evaluation.segmentation import segmentation_runs
from irnet_pipe.evaluation.sources import paint_truth
from irnet_pipe.export.voc import MAX_LABELS, VOID
from irnet_pipe.numerics.run_lengths import encode_rle

WIDE_VOID = 65535
"""Void label where there are more than 254 classes, so that 255 is a class."""

LabelArray = npt.NDArray[np.uint8 | np.uint16]


class GroundTruth(Protocol):
    """What evaluation asks of ground truth. size is (height, width) of the displayed photo.

    Attributes:
        void_label: label of void pixels in the label maps: 255, or 65535 with more than 254 classes.
    """

    void_label: int

    def __contains__(self, image_id: str) -> bool:
        """Whether there is ground truth for this image."""

    def masks(self, image_id: str, *, size: tuple[int, int]) -> MaskSet:
        """Instances of an image, crowds among them. Raises InputError for what is unreadable or of another size."""

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """(H, W) 0 background, class_id + 1, void_label. Raises InputError as `masks`."""


def open_truth(path: Path, *, root: Path, class_names: Sequence[str]) -> GroundTruth:
    """Ground truth of the images that a truth list names (data/truth_list.py).

    Args:
        path: the list, truth.json.
        root: dataset.root, to which the paths in it are relative.
        class_names: in the order of class_id.

    Raises:
        InputError: a COCO json that cannot be used.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    images: dict[str, Any] = content["images"]
    if content["kind"] == "coco":
        return CocoTruth(root / content["file"], images, class_names=class_names)
    files = {image_id: (root / file["class"], root / file["object"]) for image_id, file in images.items()}
    return VocTruth(files, class_names=class_names)


class VocTruth:
    """Palette PNGs as in SegmentationClass and SegmentationObject.

    Their palette indices count: 0 background, 255 void; in the one class_id + 1, in the other the instance.

    Args:
        files: image_id → PNG of classes, PNG of objects.
        class_names: in the order of class_id.
    """

    void_label = VOID

    def __init__(self, files: Mapping[str, tuple[Path, Path]], *, class_names: Sequence[str]) -> None:
        self._files = files
        self._n_classes = min(len(class_names), MAX_LABELS)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._files

    def masks(self, image_id: str, *, size: tuple[int, int]) -> MaskSet:
        """See `GroundTruth`. The class of an instance is the commonest one among its pixels."""
        classes = self.label_map(image_id, size=size)
        class_path, path = self._files[image_id]
        objects = _read_png(path, size=size)
        votes = np.zeros((VOID + 1, VOID + 1), dtype=np.int64)
        np.add.at(votes, (objects, classes), 1)
        numbers = [number for number in np.flatnonzero(votes.any(axis=1)) if number not in (0, VOID)]
        for number in numbers:
            if not votes[number, 1:VOID].any():
                raise InputError(f"{path}: object {number} has no class in {class_path}")
        return make_mask_set(
            [encode_rle(objects == number) for number in numbers],
            votes[numbers, 1:VOID].argmax(axis=1),
            size=size,
        )

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """See `GroundTruth`."""
        path, _ = self._files[image_id]
        labels = _read_png(path, size=size)
        unknown = labels[(labels > self._n_classes) & (labels != VOID)]
        if unknown.size:
            raise InputError(
                f"{path}: palette index {unknown.max()}, but {self._n_classes} classes are named "
                f"(allowed: 0…{self._n_classes} and {VOID}); name all of them, in the order of the palette"
            )
        return labels


class CocoTruth:
    """A COCO json with polygons or RLE, filled as the COCO API does it; crowds are void.

    Args:
        path: the json; its categories are matched by name.
        file_names: image_id → file_name in the json.
        class_names: in the order of class_id.

    Raises:
        InputError: not a COCO json, or annotations of a category that no class is called after.
    """

    def __init__(self, path: Path, file_names: Mapping[str, str], *, class_names: Sequence[str]) -> None:
        self.void_label = VOID if len(class_names) <= MAX_LABELS else WIDE_VOID
        self._path = path
        try:
            content = json.loads(path.read_bytes())
            by_name = {image["file_name"]: image for image in content["images"]}
            self._images = {image_id: by_name[name] for image_id, name in file_names.items()}
            category_names = {category["id"]: category["name"] for category in content["categories"]}
            self._annotations: dict[int, list[dict[str, Any]]] = {
                image["id"]: [] for image in self._images.values()
            }
            for annotation in content["annotations"]:
                if annotation["image_id"] in self._annotations:
                    self._annotations[annotation["image_id"]].append(annotation)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: not a COCO json of the images to be evaluated ({error!r})") from error
        self._class_id = self._match_categories(category_names, class_names)

    def _match_categories(self, names: Mapping[int, str], class_names: Sequence[str]) -> dict[int, int]:
        class_id = {name: number for number, name in enumerate(class_names)}
        used = {annotation["category_id"] for found in self._annotations.values() for annotation in found}
        unknown = sorted({str(names.get(i, i)) for i in used if names.get(i) not in class_id})
        if unknown:
            raise InputError(
                f"{self._path}: annotations of categories that are no class: {', '.join(unknown)}; "
                "name them in dataset.classes or drop them"
            )
        return {i: class_id[names[i]] for i in used}

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._images

    def masks(self, image_id: str, *, size: tuple[int, int]) -> MaskSet:
        """See `GroundTruth`. Masks may overlap."""
        annotations = self._of_image(image_id, size=size)
        return make_mask_set(
            [self._runs(annotation, size=size) for annotation in annotations],
            [self._class_id[annotation["category_id"]] for annotation in annotations],
            size=size,
            crowd=[bool(annotation.get("iscrowd")) for annotation in annotations],
        )

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """See `GroundTruth`. Where instances overlap, the smaller one is on top."""
        labels = paint_truth(self.masks(image_id, size=size), void_label=self.void_label)
        return labels.astype(np.uint8 if self.void_label == VOID else np.uint16)

    def _of_image(self, image_id: str, *, size: tuple[int, int]) -> list[dict[str, Any]]:
        image = self._images[image_id]
        _check_size(f"{self._path}, image {image_id}", (image["height"], image["width"]), size=size)
        return self._annotations[image["id"]]

    def _runs(self, annotation: dict[str, Any], *, size: tuple[int, int]) -> npt.NDArray[np.uint32]:
        segmentation = annotation["segmentation"]
        what = f"{self._path}, annotation {annotation['id']}"
        if isinstance(segmentation, dict):
            _check_size(what, tuple(segmentation["size"]), size=size)
        try:
            return segmentation_runs(segmentation, size=size)
        except ValueError as error:
            raise InputError(f"{what}: segmentation cannot be used ({error}); mend or drop it") from error


def _read_png(path: Path, *, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(H, W) uint8, the palette indices of a PNG (or the values of a grey one)."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise InputError(
                    f"{path}: is of mode {image.mode}; label maps must be palette or 8-bit grey PNGs"
                )
            labels = np.asarray(image)
    except FileNotFoundError:
        raise InputError(
            f"{path}: ground truth is missing; add it or leave the image out of dataset.evaluate"
        ) from None
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path}: unreadable PNG ({error})") from error
    _check_size(str(path), labels.shape, size=size)
    return labels


def _check_size(what: str, found: tuple[int, ...], *, size: tuple[int, int]) -> None:
    if found != size:
        raise InputError(
            f"{what}: ground truth has {found[0]}×{found[1]} pixels (height×width), the displayed photo "
            f"{size[0]}×{size[1]}; it must be drawn on the photo as displayed"
        )
