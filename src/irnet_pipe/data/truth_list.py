"""Which ground truth belongs to the images to be evaluated: results/index/<digest>/truth.json.

    {"kind": "voc", "images": {image_id: {"class": path, "object": path, "digests": [class, object]}}}
    {"kind": "coco", "file": path, "digest": digest, "images": {image_id: file_name in the json}}

Paths are relative to dataset.root, so that neither root nor times enter the digest of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.data.labels.coco import read_coco
from irnet_pipe.data.photo_files import VOID, PhotoFolder, examine_all
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import StatCache, relative_path, scan_files
from irnet_pipe.errors import InputError
from irnet_pipe.near_names import nearest

TRUTH_NAME = "truth.json"
VOC_FOLDERS = {"class": "SegmentationClass", "object": "SegmentationObject"}

Sizes = Mapping[str, tuple[int, int]]
"""image_id → (height, width) of the displayed photo."""


@dataclass(frozen=True)
class TruthUse:
    """What ground truth is for, as messages put it.

    Attributes:
        problem: kind of the problem of an image without.
        needed: why an image needs it.
        leave_out: how to do without that of one image.
        without: how to do without any.
    """

    problem: str
    needed: str
    leave_out: str
    without: str


EVALUATED = TruthUse(
    "evaluated images without ground truth",
    "is evaluated",
    "take the image out of dataset.evaluate",
    "dataset.evaluate: none",
)


def learnt_from(key: str) -> TruthUse:
    """The use by a training whose key says `truth`."""
    return TruthUse(
        "training images without ground truth",
        f"is to be learnt from ({key}: truth)",
        f"set {key} to a variant such as full",
        f"{key}: full",
    )


@dataclass(frozen=True)
class TruthUses:
    """What the ground truth of a data set is for.

    Attributes:
        evaluated: of the images that are scored.
        learnt: of those that a segmenter learns from.
    """

    evaluated: TruthUse
    learnt: TruthUse


def list_voc_truth(
    sizes: Sizes,
    folder: Path,
    *,
    root: Path,
    classes: Sequence[str] | None,
    cache: StatCache,
    max_pixels: int,
    problems: Problems,
    use: TruthUse = EVALUATED,
) -> dict[str, Any]:
    """List the label maps of images.

    Args:
        sizes: of all images that are evaluated.
        folder: holds SegmentationClass and SegmentationObject.
        root: dataset.root.
        classes: names in the order of class_id; None where that is not known.
        cache: of files examined before.
        max_pixels: greatest number of pixels of a label map.
        problems: takes label maps that are missing, damaged, of another size than their photo, or with other labels.
        use: for messages.
    """
    absent = [name for name in VOC_FOLDERS.values() if not (folder / name).is_dir()]
    if absent:
        problems.add(
            "folders of ground truth",
            f"{folder}: has no {' and no '.join(absent)}; set dataset.ground_truth to a COCO json or to the "
            f"folder that holds both, or {use.without}",
        )
        return {}
    images: dict[str, dict[str, Any]] = {image_id: {"digests": []} for image_id in sorted(sizes)}
    for key, name in VOC_FOLDERS.items():
        place, prefix = (folder / name).resolve(), relative_path(folder / name, root)
        stats = scan_files(place, suffixes={".png"})
        files = {}
        for image_id in images:
            file = f"{image_id}.png"
            images[image_id][key] = f"{prefix}/{file}"
            if file in stats:
                files[image_id] = (f"{place}/{file}", stats[file])
            else:
                _add_missing(problems, image_id, f"{place / file}: no such file", use)
        facts = examine_all(files, cache=cache, max_pixels=max_pixels, problems=problems, title="label maps")
        for image_id, fact in facts.items():
            _check_size(problems, files[image_id][0], (fact.height, fact.width), sizes[image_id])
            named = len(classes) if classes is not None and key == "class" else None
            _check_labels(problems, files[image_id][0], fact.largest_label, n_classes=named)
            images[image_id]["digests"].append(fact.digest)
    return {"kind": "voc", "images": images}


def list_coco_truth(
    sizes: Sizes,
    file: Path,
    *,
    root: Path,
    photos: PhotoFolder,
    classes: Sequence[str] | None,
    digest: Callable[[Path], str],
    cache: StatCache,
    problems: Problems,
    use: TruthUse = EVALUATED,
) -> dict[str, Any]:
    """List the images of a COCO json.

    Args:
        sizes: of all images that are evaluated.
        file: the json.
        root: dataset.root.
        photos: resolves file names.
        classes: names; None where they are not known.
        digest: digest of a file.
        cache: of files read before.
        problems: takes images that are missing in the json or of another size than their photo, and categories that are
            no class.
        use: for messages.
    """
    try:
        content = read_coco(file, cache=cache)
    except InputError as error:
        problems.add_error("problems of the ground truth", error)
        return {}
    names = {photos.resolve(name): name for name in content.sizes}
    for image_id, size in sizes.items():
        if image_id in names:
            _check_size(problems, f"{file}: {names[image_id]}", content.sizes[names[image_id]], size)
        else:
            _add_missing(problems, image_id, f"{file}: has no image of this file_name", use)
    images = {image_id: names[image_id] for image_id in sorted(sizes) if image_id in names}
    if classes is not None:
        _check_categories(
            problems, file, {name for key in images.values() for name in content.labels[key]}, classes
        )
    return {"kind": "coco", "file": relative_path(file, root), "digest": digest(file), "images": images}


def _add_missing(problems: Problems, image_id: str, what: str, use: TruthUse) -> None:
    problems.add(
        use.problem, f"{what}, but image {image_id!r} {use.needed}; add the ground truth, or {use.leave_out}"
    )


def _check_categories(problems: Problems, file: Path, used: set[str], classes: Sequence[str]) -> None:
    for name in sorted(used - set(classes)):
        near = nearest(name, classes)
        remedy = f"write {near!r} if that is meant, or " if near else ""
        problems.add(
            "categories of the ground truth",
            f"{file}: category {name!r} is no class; {remedy}name it in dataset.classes, or drop its annotations",
        )


def _check_labels(problems: Problems, path: str, largest: int | None, *, n_classes: int | None) -> None:
    if largest is None:
        problems.add(
            "kinds of label maps",
            f"{path}: no palette or 8-bit grey picture, which label maps have to be; save it as such a PNG",
        )
    elif n_classes is not None and largest > n_classes:
        problems.add(
            "labels of ground truth",
            f"{path}: label {largest}, but there are {n_classes} classes, so that 0…{n_classes} and {VOID} "
            "are allowed; name all classes in dataset.classes, in the order of the labels",
        )


def _check_size(problems: Problems, what: str, found: tuple[int, int], photo: tuple[int, int]) -> None:
    if found != photo:
        problems.add(
            "sizes of ground truth",
            f"{what}: ground truth is {found[1]}×{found[0]} pixels, the displayed photo "
            f"{photo[1]}×{photo[0]}; scale one to the other",
        )
