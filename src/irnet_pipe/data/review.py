"""What a person found in the gallery of a report: review.json, as the page saves it (report/review.js). Light."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from irnet_pipe.data.labels import Labels
from irnet_pipe.data.photo_files import PhotoFolder
from irnet_pipe.data.problems import Problems
from irnet_pipe.errors import InputError

FORMAT = "irnet_pipe.review"
VERSION = 1
MASK_NAME = re.compile(r"[0-9a-f]{12}")
ANEW = "save it anew from the report"


@dataclass(frozen=True)
class ImageReview:
    """What was found of one image.

    Attributes:
        unusable: it shall neither train nor be labelled.
        labels: class name → whether the class is in the image, whatever the labels say.
        wrong: names of masks (`irnet_pipe.artifacts.masks.mask_name`).
    """

    unusable: bool = False
    labels: dict[str, bool] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """A review: the file, for messages, and what was found of each image."""

    source: Path
    images: dict[str, ImageReview]

    @property
    def unusable(self) -> set[str]:
        """Images that are left out."""
        return {image_id for image_id, found in self.images.items() if found.unusable}

    @property
    def wrong(self) -> dict[str, tuple[str, ...]]:
        """Masks of each image that exports leave out."""
        return {image_id: found.wrong for image_id, found in self.images.items() if found.wrong}

    def corrected(self, labels: Labels) -> Labels:
        """Labels with those that the review adds, without those that it takes away."""
        names = dict(labels.names)
        for image_id, found in self.images.items():
            if found.labels:
                kept = [name for name in names.get(image_id, ()) if found.labels.get(name, True)]
                names[image_id] = (*kept, *(name for name, is_there in found.labels.items() if is_there))
                names[image_id] = tuple(dict.fromkeys(names[image_id]))
        return replace(labels, names=names)

    def check(
        self, photos: PhotoFolder, labels: Labels, *, classes: Sequence[str] | None, problems: Problems
    ) -> None:
        """Find images and classes that the data set does not have.

        Args:
            photos: of the data set.
            labels: of the data set, as its source has them.
            classes: the user's class names.
            problems: takes a message for each.
        """
        known = {*(classes or ()), *(labels.classes or ())}.union(*labels.names.values())
        for image_id, found in self.images.items():
            if image_id not in photos.files:
                problems.add(
                    "unknown images of the review",
                    f"{self.source}: image {image_id!r} has no photo in {photos.folder}; "
                    "delete its entry, or put the photo back",
                )
            for name in found.labels:
                if name not in known:
                    problems.add(
                        "unknown classes of the review",
                        f"{self.source}: image {image_id!r}: class {name!r} is no class of the data; "
                        f"{_near(name, known)}delete the entry, or add the class to dataset.classes",
                    )


def no_review(path: Path = Path()) -> Review:
    """Nothing was found."""
    return Review(path, {})


def read_review(path: Path) -> Review:
    """Read review.json.

    Raises:
        InputError: the file is missing, is no review, or is of a newer version; or every entry that says nothing.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"review: {path}: no such file; give the path of the review.json that a report saved"
        ) from None
    except OSError as error:
        raise InputError(
            f"review: {path}: cannot be read ({error.strerror}); check the file's permissions"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON in UTF-8 ({error}); {ANEW}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: no review (format {FORMAT!r} is missing); give the review.json that a report saved"
        )
    if not isinstance(content.get("version"), int) or not 1 <= content["version"] <= VERSION:
        raise InputError(
            f"{path}: version {content.get('version')!r}, this irnet_pipe reads {VERSION}; update irnet_pipe, or {ANEW}"
        )
    images = content.get("images")
    if not isinstance(images, dict):
        raise InputError(f"{path}: images is {images!r}, expected image_id → what was found; {ANEW}")
    problems = [problem for item in images.items() for problem in _problems(*item)]
    if problems:
        raise InputError(f"{path}: {problem}; mend it, or {ANEW}" for problem in problems)
    return Review(path, {image_id: _image_review(found) for image_id, found in images.items()})


def _image_review(found: dict[str, Any]) -> ImageReview:
    return ImageReview(
        unusable=found.get("unusable", False),
        labels=found.get("labels", {}),
        wrong=tuple(dict.fromkeys(found.get("wrong", ()))),
    )


def _problems(image_id: str, found: Any) -> Iterator[str]:
    """What is wrong with an entry."""
    where = f"image {image_id!r}"
    if not isinstance(found, dict):
        yield f"{where} is {found!r}, expected unusable, labels or wrong"
        return
    for key in found.keys() - {"unusable", "labels", "wrong"}:
        yield f"{where}: unknown key {key!r}, expected unusable, labels or wrong"
    if not isinstance(found.get("unusable", False), bool):
        yield f"{where}: unusable is {found['unusable']!r}, expected true or false"
    labels = found.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, bool) for value in labels.values()):
        yield f"{where}: labels is {labels!r}, expected class → true or false"
    wrong = found.get("wrong", [])
    if not isinstance(wrong, list):
        yield f"{where}: wrong is {wrong!r}, expected a list of masks"
        return
    for name in wrong:
        if not (isinstance(name, str) and MASK_NAME.fullmatch(name)):
            yield f"{where}: mask {name!r}, expected twelve hex digits"


def _near(name: str, known: set[str]) -> str:
    matches = get_close_matches(name, known, n=1)
    return f"did you mean {matches[0]!r}? Else " if matches else ""
