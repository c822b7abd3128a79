"""What an evaluation asks of ground truth and of predictions, and which images of the two belong together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.mask_set import MaskSet
from irnet_pipe.numerics.run_lengths import decode_rle, rle_area

LabelArray = npt.NDArray[np.integer[Any]]


class ImageKey(NamedTuple):
    """An image of the ground truth.

    Attributes:
        id: the image's id in the COCO json; of a VOC folder its name.
        name: path without suffix.
    """

    id: int | str
    name: str


class TruthSource(Protocol):
    """Ground truth, one image at a time.

    Attributes:
        description: the file or folder, for messages.
        class_names: in the order of class_id.
        categories: category id → class_id.
        images: in the order in which they are evaluated: by id.
        has_instances: whether there are instances.
        void_label: label of void pixels in the label maps.
    """

    description: str
    class_names: tuple[str, ...]
    categories: Mapping[int, int]
    images: Sequence[ImageKey]
    has_instances: bool
    void_label: int

    def size(self, image: ImageKey) -> tuple[int, int]:
        """(height, width) of an image."""

    def masks(self, image: ImageKey) -> MaskSet:
        """Instances of an image, crowds among them. Raises InputError for what cannot be read."""

    def label_map(self, image: ImageKey, masks: MaskSet | None) -> LabelArray:
        """(H, W) 0 background, class_id + 1, void_label; `masks` are those of the image where known."""


class PredictionSource(Protocol):
    """Predictions, one image at a time.

    Attributes:
        description: the file or folder, for messages.
        has_instances: whether there are instances.
        has_scores: whether the instances have scores.
        without_prediction: images of the ground truth that are not in the predictions.
        left_out: names of predicted images that are not in the ground truth.
    """

    description: str
    has_instances: bool
    has_scores: bool
    without_prediction: Sequence[ImageKey]
    left_out: Sequence[str]

    def masks(self, image: ImageKey, *, size: tuple[int, int]) -> MaskSet:
        """Detections in an image; none where it is not in the predictions."""

    def label_map(self, image: ImageKey, masks: MaskSet | None, *, size: tuple[int, int]) -> LabelArray:
        """(H, W) 0 background, class_id + 1; `masks` are those of the image where known."""


def check_left_out(predictions: PredictionSource, truth: TruthSource, *, subset: bool) -> None:
    """Refuse predictions for images that are not in the ground truth.

    Args:
        predictions: what was predicted.
        truth: the ground truth.
        subset: whether some of them may be left out; all of them never.

    Raises:
        InputError: there are some.
    """
    left_out = predictions.left_out
    if left_out and (not subset or len(predictions.without_prediction) == len(truth.images)):
        shown = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
        theirs = ", ".join(str(image.id) for image in truth.images[:5])
        raise InputError(
            f"{predictions.description}: predictions for {len(left_out)} images that are not in {truth.description} "
            f"({shown}; there: {theirs}, …); give the ground truth that they belong to, --names with the json that "
            "the ids refer to, or --subset to leave some out"
        )


def image_name(file_name: str) -> str:
    """Path without suffix, forward slashes."""
    return PurePosixPath(file_name.replace("\\", "/")).with_suffix("").as_posix()


def match_names(wanted: Collection[str], there: Collection[str]) -> dict[str, str]:
    """Images of the same name: the whole path without suffix; else its last part, where it tells images apart.

    Args:
        wanted: names of one side, none twice.
        there: names of the other side.

    Returns:
        name wanted → name there, of those that are there.
    """
    whole = set(there)
    found = {name: name for name in wanted if name in whole}
    left = _by_last_part(set(wanted) - set(found))
    right = _by_last_part(whole - set(found.values()))
    return found | {
        names[0]: right[part][0]
        for part, names in left.items()
        if len(names) == 1 and len(right.get(part, [])) == 1
    }


def _by_last_part(names: Collection[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(PurePosixPath(name).name, []).append(name)
    return parts


def paint(masks: MaskSet, order: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Label map of instances.

    Args:
        masks: of one image.
        order: indices of those that are painted; the last one is on top.

    Returns:
        (H, W): 0 background, class_id + 1.
    """
    labels = np.zeros(masks.size, dtype=np.int32)
    for i in order:
        labels[decode_rle(masks.runs[int(i)], size=masks.size)] = masks.class_id[i] + 1
    return labels


def paint_truth(masks: MaskSet, *, void_label: int) -> npt.NDArray[np.int32]:
    """Label map of ground truth: of two instances the smaller one is on top; crowds are void where nothing is.

    Args:
        masks: of one image, crowds among them.
        void_label: label of void pixels.

    Returns:
        (H, W): 0 background, class_id + 1, void_label.
    """
    pixels = np.array([rle_area(runs) for runs in masks.runs], dtype=np.int64)
    instances = np.flatnonzero(~masks.crowd)
    labels = paint(masks, instances[np.argsort(-pixels[instances], kind="stable")])
    for i in np.flatnonzero(masks.crowd):
        labels[(labels == 0) & decode_rle(masks.runs[int(i)], size=masks.size)] = void_label
    return labels
