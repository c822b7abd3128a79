"""Labels and sizes from a COCO json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.data.scan import StatCache
from irnet_pipe.errors import InputError
from irnet_pipe.text_files import read_bounded


@dataclass(frozen=True)
class CocoFile:
    """What a COCO json says about whole images.

    Attributes:
        classes: category names, sorted by category id.
        labels: file_name → class names, sorted as `classes`; crowds count.
        sizes: file_name → (height, width).
    """

    classes: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    sizes: dict[str, tuple[int, int]]


def read_coco(path: Path, *, cache: StatCache) -> CocoFile:
    """Read a COCO json.

    Raises:
        InputError: not a COCO json, or one whose ids do not fit each other.
    """
    stored = cache.of_file("coco", path, _summarise)
    classes: list[str] = stored["classes"]
    images: dict[str, list[Any]] = stored["images"]
    return CocoFile(
        classes=tuple(classes),
        labels={name: tuple(classes[i] for i in present) for name, (_, _, present) in images.items()},
        sizes={name: (height, width) for name, (height, width, _) in images.items()},
    )


def _summarise(path: Path) -> dict[str, Any]:
    """The plain JSON that is remembered: {classes, images: file_name → [height, width, class indices]}."""
    try:
        content = json.loads(read_bounded(path))
        categories = sorted(content["categories"], key=lambda category: category["id"])
        rows = {image["id"]: [image["height"], image["width"], set()] for image in content["images"]}
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        found = [(item["image_id"], item["category_id"]) for item in content["annotations"]]
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a COCO json ({error}); give one with images, annotations, categories"
        ) from None
    except KeyError as error:
        raise InputError(f"{path}: not a COCO json, key {error} is missing; add it") from None
    problems = []
    for kind, values in (
        ("category name", [category["name"] for category in categories]),
        ("category id", [category["id"] for category in categories]),
        ("image id", [image["id"] for image in content["images"]]),
        ("file_name", list(files.values())),
    ):
        problems += [
            f"{path}: {kind} {value!r} occurs twice; make each unique" for value in _repeated(values)
        ]
    index = {category["id"]: i for i, category in enumerate(categories)}
    for image_id, category_id in dict.fromkeys(found):
        if image_id not in rows:
            problems.append(
                f"{path}: an annotation names image_id {image_id}, which is not in images; add or drop it"
            )
        elif category_id not in index:
            problems.append(
                f"{path}: an annotation names category_id {category_id}, not in categories; add or drop it"
            )
        else:
            rows[image_id][2].add(index[category_id])
    if problems:
        raise InputError(problems)
    images = {
        files[image_id]: [height, width, sorted(present)]
        for image_id, (height, width, present) in rows.items()
    }
    return {"classes": [str(category["name"]) for category in categories], "images": images}


def _repeated(values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    return list(dict.fromkeys(value for value in values if value in seen or seen.add(value)))  # type: ignore[func-returns-value]
