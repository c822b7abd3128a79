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
from irnet_pipe.evaluation.instance import Instances
from irnet_pipe.evaluation.polygon import polygon_mask
from irnet_pipe.export.voc import MAX_LABELS, VOID, painting_order
from irnet_pipe.numerics.run_lengths import decode_rle, decompress_rle

WIDE_VOID = 65535
"""Void label where there are more than 254 classes, so that 255 is a class."""

BoolArray = npt.NDArray[np.bool_]
LabelArray = npt.NDArray[np.uint8 | np.uint16]


class TrueInstances(Instances):
    """Instances of one image: masks (m, H, W) bool, class_id (m,) int64, void (H, W) bool."""

    void: BoolArray


class GroundTruth(Protocol):
    """What evaluation asks of ground truth. size is (height, width) of the displayed photo.

    Attributes:
        void_label: label of void pixels in the label maps: 255, or 65535 with more than 254 classes.
    """

    void_label: int

    def __contains__(self, image_id: str) -> bool:
        """Whether there is ground truth for this image."""

    def instances(self, image_id: str, *, size: tuple[int, int]) -> TrueInstances:
        """Instances of an image. Raises InputError for a file that is unreadable, or of another size."""

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """(H, W) 0 background, class_id + 1, void_label. Raises InputError as `instances`."""


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

    def instances(self, image_id: str, *, size: tuple[int, int]) -> TrueInstances:
        """See `GroundTruth`. The class of an instance is the commonest one among its pixels."""
        classes = self.label_map(image_id, size=size)
        class_path, path = self._files[image_id]
        objects = _read_png(path, size=size)
        numbers = [i for i in np.unique(objects) if i not in (0, VOID)]
        masks = np.array([objects == i for i in numbers], dtype=bool).reshape(len(numbers), *size)
        class_id = np.zeros(len(numbers), dtype=np.int64)
        for i, mask in enumerate(masks):
            votes = np.bincount(classes[mask], minlength=VOID + 1)[1:VOID]
            if not votes.any():
                raise InputError(f"{path}: object {numbers[i]} has no class in {class_path}")
            class_id[i] = votes.argmax()
        return TrueInstances(masks=masks, class_id=class_id, void=objects == VOID)

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """See `GroundTruth`."""
        path, _ = self._files[image_id]
        labels = _read_png(path, size=size)
        unknown = labels[(labels > self._n_classes) & (labels != VOID)]
        if unknown.size:
            raise InputError(
                f"{path}: palette index {unknown.max()}, but dataset.classes names {self._n_classes} classes "
                f"(allowed: 0…{self._n_classes} and {VOID}); name all classes, in the order of the palette"
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

    def instances(self, image_id: str, *, size: tuple[int, int]) -> TrueInstances:
        """See `GroundTruth`. Masks may overlap; void are the pixels of crowds that no instance covers."""
        crowd = np.zeros(size, dtype=bool)
        masks: list[BoolArray] = []
        class_id: list[int] = []
        for annotation in self._of_image(image_id, size=size):
            mask = self._mask(annotation, size=size)
            if annotation.get("iscrowd"):
                crowd |= mask
            else:
                masks.append(mask)
                class_id.append(self._class_id[annotation["category_id"]])
        stack = np.array(masks, dtype=bool).reshape(len(masks), *size)
        return TrueInstances(
            masks=stack, class_id=np.array(class_id, dtype=np.int64), void=crowd & ~stack.any(axis=0)
        )

    def label_map(self, image_id: str, *, size: tuple[int, int]) -> LabelArray:
        """See `GroundTruth`. Where instances overlap, the smaller one is on top."""
        truth = self.instances(image_id, size=size)
        labels = np.where(truth["void"], self.void_label, 0)
        for i in painting_order(truth["masks"]):
            labels[truth["masks"][i]] = truth["class_id"][i] + 1
        return labels.astype(np.uint8 if self.void_label == VOID else np.uint16)

    def _of_image(self, image_id: str, *, size: tuple[int, int]) -> list[dict[str, Any]]:
        image = self._images[image_id]
        _check_size(f"{self._path}, image {image_id}", (image["height"], image["width"]), size=size)
        return self._annotations[image["id"]]

    def _mask(self, annotation: dict[str, Any], *, size: tuple[int, int]) -> BoolArray:
        segmentation = annotation["segmentation"]
        what = f"{self._path}, annotation {annotation['id']}"
        if isinstance(segmentation, dict):
            _check_size(what, tuple(segmentation["size"]), size=size)
        try:
            return _fill(segmentation, size=size)
        except ValueError as error:
            raise InputError(f"{what}: segmentation cannot be used ({error}); mend or drop it") from error


def _fill(segmentation: Any, *, size: tuple[int, int]) -> BoolArray:
    """(H, W) mask of a COCO segmentation: polygons that are united, or an RLE, compressed or not."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        runs = decompress_rle(counts) if isinstance(counts, str) else np.array(counts, dtype=np.uint32)
        return np.asarray(decode_rle(runs, size=size))
    mask = np.zeros(size, dtype=bool)
    for polygon in segmentation:
        mask |= polygon_mask(polygon, height=size[0], width=size[1])
    return mask


def _read_png(path: Path, *, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(H, W) uint8, the palette indices of a PNG (or the values of a grey one)."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise InputError(
                    f"{path}: is of mode {image.mode}; ground truth must be a palette or 8-bit grey PNG"
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
