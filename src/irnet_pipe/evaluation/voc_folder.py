"""Folders of VOC PNGs as ground truth and as predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from irnet_pipe.data.scan import scan_files
from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.ground_truth import VocTruth
from irnet_pipe.evaluation.mask_set import MaskSet, make_mask_set
from irnet_pipe.evaluation.sources import (
    ImageKey,
    LabelArray,
    TruthSource,
    check_left_out,
    image_name,
    match_names,
)
from irnet_pipe.export.voc import VOID

CLASS_FOLDER, OBJECT_FOLDER = "SegmentationClass", "SegmentationObject"


class VocFolder:
    """PNGs of classes and, where there are any, of objects.

    Args:
        folder: holds SegmentationClass and perhaps SegmentationObject, or the PNGs of classes themselves.
        class_names: the classes of the palette indices 1, 2, ….

    Attributes:
        names: of the images, sorted: paths of the PNGs without suffix.
        has_instances: whether there are PNGs of objects.

    Raises:
        InputError: there is no PNG, or one of objects alone.
    """

    def __init__(self, folder: Path, *, class_names: Sequence[str]) -> None:
        self.folder = folder
        objects = folder / OBJECT_FOLDER
        self.has_instances = objects.is_dir()
        classes = folder / CLASS_FOLDER
        if not classes.is_dir():
            if self.has_instances:
                raise InputError(f"{folder}: has {OBJECT_FOLDER}, but no {CLASS_FOLDER}; both are needed")
            classes = folder
        files = {image_name(name): name for name in scan_files(classes, suffixes={".png"})}
        if not files:
            raise InputError(f"{classes}: has no PNG; give a folder that has, or a COCO json")
        self.names = sorted(files)
        self._files = {name: (classes / file, objects / file) for name, file in files.items()}
        self._maps = VocTruth(self._files, class_names=class_names)

    def size(self, name: str) -> tuple[int, int]:
        """(height, width) of an image.

        Raises:
            InputError: a PNG that is unreadable.
        """
        return _png_size(self._files[name][0])

    def masks(self, name: str) -> MaskSet:
        """Objects of an image, all of score 1, in the order of their palette indices.

        Raises:
            InputError: a PNG that is missing or unreadable, or two of different size.
        """
        size, path = self.size(name), self._files[name][1]
        if (found := _png_size(path)) != size:
            raise InputError(
                f"{path}: has {_text(found)} pixels, the PNG of classes {_text(size)}; draw both alike"
            )
        return self._maps.masks(name, size=size)

    def label_map(self, name: str) -> LabelArray:
        """(H, W) palette indices of the classes."""
        return self._maps.label_map(name, size=self.size(name))


class VocTruthSource:
    """Ground truth of a VOC folder; see `TruthSource`. Images come by name."""

    void_label = VOID

    def __init__(self, folder: VocFolder, *, class_names: Sequence[str]) -> None:
        self._folder = folder
        self.description = str(folder.folder)
        self.class_names = tuple(class_names)
        self.categories: Mapping[int, int] = {i + 1: i for i in range(len(class_names))}
        self.images: Sequence[ImageKey] = [ImageKey(name, name) for name in folder.names]
        self.has_instances = folder.has_instances

    def size(self, image: ImageKey) -> tuple[int, int]:
        """See `TruthSource`."""
        return self._folder.size(image.name)

    def masks(self, image: ImageKey) -> MaskSet:
        """See `TruthSource`."""
        return self._folder.masks(image.name)

    def label_map(self, image: ImageKey, masks: MaskSet | None) -> LabelArray:
        """See `TruthSource`."""
        return self._folder.label_map(image.name)


class VocPredictions:
    """Predictions of a VOC folder; see `PredictionSource`. Its classes are those of the ground truth, in their order.

    Args:
        folder: the PNGs.
        truth: the ground truth.
        subset: whether the ground truth may lack images.

    Raises:
        InputError: images that the ground truth does not have.
    """

    has_scores = False

    def __init__(self, folder: VocFolder, truth: TruthSource, *, subset: bool) -> None:
        self._folder = folder
        self.description = str(folder.folder)
        self.has_instances = folder.has_instances
        self._names = match_names([image.name for image in truth.images], folder.names)
        self.without_prediction: Sequence[ImageKey] = [
            image for image in truth.images if image.name not in self._names
        ]
        self.left_out: Sequence[str] = sorted(set(folder.names) - set(self._names.values()))
        check_left_out(self, truth, subset=subset)

    def masks(self, image: ImageKey, *, size: tuple[int, int]) -> MaskSet:
        """See `PredictionSource`."""
        name = self._names.get(image.name)
        if name is None:
            return make_mask_set([], [], size=size)
        self._check_size(name, size)
        return self._folder.masks(name)

    def label_map(self, image: ImageKey, masks: MaskSet | None, *, size: tuple[int, int]) -> LabelArray:
        """See `PredictionSource`."""
        name = self._names.get(image.name)
        if name is None:
            return np.zeros(size, dtype=np.uint8)
        self._check_size(name, size)
        return self._folder.label_map(name)

    def _check_size(self, name: str, size: tuple[int, int]) -> None:
        if (found := self._folder.size(name)) != size:
            raise InputError(
                f"{self.description}, image {name}: has {_text(found)} pixels (height×width), the ground truth "
                f"{_text(size)}; scale the prediction to it"
            )


def _png_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; add it, or give a COCO json, which holds any number of objects"
        ) from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: unreadable PNG ({error})") from error


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
