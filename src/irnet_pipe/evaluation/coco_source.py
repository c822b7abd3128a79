"""COCO jsons as ground truth and as predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from irnet_pipe.data.problems import Problems
from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.coco_file import CocoFile, ImageId
from irnet_pipe.evaluation.ground_truth import WIDE_VOID
from irnet_pipe.evaluation.mask_set import MaskSet, make_mask_set
from irnet_pipe.evaluation.sources import (
    ImageKey,
    LabelArray,
    TruthSource,
    check_left_out,
    image_name,
    match_names,
    paint,
    paint_truth,
)


class CocoTruthSource:
    """Ground truth of a COCO json; see `TruthSource`.

    Classes are its categories by id, images come by id. Areas are those of the file. In label maps the smaller one of
    two instances is on top, and the pixels of crowds that no instance covers are void.

    Raises:
        InputError: a list without images and categories, or annotations of images or categories that are not listed.
    """

    has_instances = True
    void_label = WIDE_VOID

    def __init__(self, file: CocoFile) -> None:
        if file.is_list:
            raise InputError(
                f"{file.path}: ground truth must name its images and categories, this is a list of results"
            )
        _check_ids(file, listed=file)
        self._file = file
        self.description = str(file.path)
        self.categories: Mapping[int, int] = {
            category: i for i, category in enumerate(_sorted(file.category_names))
        }
        self.class_names = tuple(file.category_names[category] for category in self.categories)
        self.images: Sequence[ImageKey] = [
            ImageKey(i, image_name(file.images[i].file_name)) for i in _sorted(file.images)
        ]

    def size(self, image: ImageKey) -> tuple[int, int]:
        """See `TruthSource`."""
        return self._file.images[image.id].size

    def masks(self, image: ImageKey) -> MaskSet:
        """See `TruthSource`."""
        annotations, size = list(self._file.annotations(image.id)), self.size(image)
        areas = [annotation.get("area") for annotation in annotations]
        return make_mask_set(
            [self._file.runs(annotation, size=size) for annotation in annotations],
            [self.categories[annotation["category_id"]] for annotation in annotations],
            size=size,
            crowd=[bool(annotation.get("iscrowd")) for annotation in annotations],
            area=[area if isinstance(area, int | float) else None for area in areas],
        )

    def label_map(self, image: ImageKey, masks: MaskSet | None) -> LabelArray:
        """See `TruthSource`."""
        return paint_truth(masks or self.masks(image), void_label=self.void_label)


class CocoPredictions:
    """Results of a COCO json; see `PredictionSource`.

    In a list of results, image and category ids are those of the ground truth, unless `names` lists them; else both are
    matched by name.

    Args:
        file: a list of results, or an object whose annotations have scores.
        truth: the ground truth.
        names: the json that the ids of a list of results refer to.
        subset: whether the ground truth may lack images.
        min_score: score from which on instances are painted on label maps, the surest on top.

    Raises:
        InputError: images or categories that the ground truth does not have.
    """

    has_instances = has_scores = True

    def __init__(
        self, file: CocoFile, truth: TruthSource, *, names: CocoFile | None, subset: bool, min_score: float
    ) -> None:
        self._file, self._min_score = file, min_score
        self.description = str(file.path)
        known = names or (None if file.is_list else file)
        self._class_id: Mapping[Any, int]
        if known is None:
            self._ids: dict[ImageId, ImageId] = {image.id: image.id for image in truth.images}
            self._class_id = truth.categories
            predicted: Iterable[ImageId] = file.image_ids
        else:
            _check_ids(file, listed=known)
            self._class_id = _classes_by_name(file, known, truth)
            self._ids = _images_by_name(known, truth)
            predicted = file.image_ids if file.is_list else known.images
        theirs = set(self._ids.values())
        outside = _sorted({i for i in predicted if i not in theirs})
        self.left_out: Sequence[str] = [
            str(i) if known is None else known.images[i].file_name for i in outside
        ]
        listed = set(predicted)
        self.without_prediction: Sequence[ImageKey] = [
            image for image in truth.images if self._ids.get(image.id) not in listed
        ]
        _check_categories(file, self._class_id, truth)
        check_left_out(self, truth, subset=subset)

    def masks(self, image: ImageKey, *, size: tuple[int, int]) -> MaskSet:
        """See `PredictionSource`."""
        found = list(self._file.annotations(self._ids[image.id])) if image.id in self._ids else []
        return make_mask_set(
            [self._file.runs(result, size=size) for result in found],
            [self._class_id[result["category_id"]] for result in found],
            size=size,
            score=[self._score(result) for result in found],
        )

    def label_map(self, image: ImageKey, masks: MaskSet | None, *, size: tuple[int, int]) -> LabelArray:
        """See `PredictionSource`."""
        masks = masks or self.masks(image, size=size)
        order = np.lexsort((-masks.area, masks.score))
        return paint(masks, order[masks.score[order] >= self._min_score])

    def _score(self, result: dict[str, Any]) -> float:
        score = result.get("score")
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise InputError(
                f"{self._file.path}: a result of image {result['image_id']} has the score {score!r}; "
                "each needs a finite number"
            )
        return float(score)


def _sorted(ids: Iterable[Any]) -> list[Any]:
    """Numbers by size, then text."""
    return sorted(ids, key=lambda i: (isinstance(i, str), i))


def _check_ids(file: CocoFile, *, listed: CocoFile) -> None:
    problems = Problems()
    for key, unknown in (
        ("image_id", file.image_ids - listed.images.keys()),
        ("category_id", file.category_ids - listed.category_names.keys()),
    ):
        for value in _sorted(unknown):
            problems.add(
                f"unknown {key}s",
                f"{file.path}: {key} {value!r} is not in {listed.path}; add it there or drop its entries",
            )
    problems.check()


def _check_categories(file: CocoFile, known: Mapping[Any, int], truth: TruthSource) -> None:
    if unknown := _sorted(file.category_ids - known.keys()):
        listed = ", ".join(f"{i} {truth.class_names[number]}" for i, number in known.items())
        raise InputError(
            f"{file.path}: category_id {', '.join(map(repr, unknown))} is not in {truth.description} "
            f"(there: {listed}); give the json that the ids refer to as --names"
        )


def _classes_by_name(file: CocoFile, known: CocoFile, truth: TruthSource) -> dict[Any, int]:
    number = {name: class_id for class_id, name in enumerate(truth.class_names)}
    used = {category: known.category_names[category] for category in _sorted(file.category_ids)}
    if unknown := [name for name in used.values() if name not in number]:
        raise InputError(
            f"{known.path}: categories that {truth.description} does not have: {', '.join(map(repr, unknown))} "
            f"(there: {', '.join(truth.class_names)}); write both names alike in one of the files, "
            "or name those of a VOC palette by --classes"
        )
    return {category: number[name] for category, name in used.items()}


def _images_by_name(known: CocoFile, truth: TruthSource) -> dict[ImageId, ImageId]:
    by_name = {image_name(image.file_name): image_id for image_id, image in known.images.items()}
    pairs = match_names([image.name for image in truth.images], by_name)
    if not pairs and truth.images and by_name:
        raise InputError(
            f"{known.path}: none of its images is in {truth.description}; names are such as {next(iter(by_name))!r} "
            f"here and {truth.images[0].name!r} there; name them alike"
        )
    return {image.id: by_name[pairs[image.name]] for image in truth.images if image.name in pairs}
