"""Image-level labels from the user's files: which layout a folder has, and the class names of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from irnet_pipe.data.labels import coco, folders, table, voc
from irnet_pipe.data.photo_files import PhotoFolder
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import StatCache
from irnet_pipe.errors import InputError

if TYPE_CHECKING:  # stages, which run without pydantic, import this package
    from irnet_pipe.config import Dataset

PHOTO_FOLDERS = ("JPEGImages", "images")
LABEL_NAMES = {
    "voc": ("Annotations",),
    "coco": ("annotations.json",),
    "csv": ("labels.csv", "image_labels.csv", "labels.tsv", "image_labels.tsv"),
}
FORMAT_OF_SUFFIX = {".json": "coco", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}


@dataclass(frozen=True)
class Layout:
    """Where a data set has its files.

    Attributes:
        format: voc, coco, csv or folders.
        photos: folder of the photos.
        labels: file or folder of the labels; the photos' folder for the format folders.
    """

    format: str
    photos: Path
    labels: Path


@dataclass(frozen=True)
class Labels:
    """Image-level labels.

    Attributes:
        names: image_id → class names present; empty for a negative. Images without label row are absent.
        classes: class names in the order that the source gives them; None where it gives none.
        source: file or folder, for messages.
        readable: else every image is as without any class, so that the rest can be checked.
    """

    names: dict[str, tuple[str, ...]]
    classes: tuple[str, ...] | None
    source: Path
    readable: bool = True


def locate(dataset: Dataset, root: Path) -> Layout:
    """Find photos and labels of a data set.

    Raises:
        InputError: a path does not exist, or the labels are of no known layout or of several.
    """
    photos = _photo_folder(dataset, root)
    if dataset.format == "folders":
        return Layout("folders", photos, photos)
    if dataset.labels is not None:
        labels = root / dataset.labels
        if not labels.exists():
            raise InputError(f"{labels}: no such file or folder; set dataset.labels to where the labels are")
        return Layout(_format_of(dataset, labels), photos, labels)
    formats = LABEL_NAMES if dataset.format == "auto" else {dataset.format: LABEL_NAMES[dataset.format]}
    found = [
        (kind, root / name) for kind, names in formats.items() for name in names if (root / name).exists()
    ]
    if len(found) == 1:
        return Layout(found[0][0], photos, found[0][1])
    if found:
        listing = " and ".join(f"{path.name} ({kind})" for kind, path in found)
        raise InputError(f"{root}: labels in {listing}; set dataset.labels to the one that counts")
    if dataset.format == "auto" and any(path.is_dir() for path in photos.iterdir()):
        return Layout("folders", photos, photos)
    expected = ", ".join(name for names in formats.values() for name in names)
    raise InputError(
        f"{root}: no labels found, expected one of {expected}; set dataset.labels and dataset.format"
    )


def _photo_folder(dataset: Dataset, root: Path) -> Path:
    if dataset.photos is not None:
        folder = root / dataset.photos
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; set dataset.photos to the folder of the photos")
        return folder
    return next((root / name for name in PHOTO_FOLDERS if (root / name).is_dir()), root)


def _format_of(dataset: Dataset, labels: Path) -> str:
    known = "voc" if labels.is_dir() else FORMAT_OF_SUFFIX.get(labels.suffix.lower())
    if dataset.format == "auto" and known is None:
        raise InputError(
            f"{labels}: suffix {labels.suffix!r} tells no format; set dataset.format to voc, coco or csv"
        )
    if dataset.format == "voc" and known != "voc":
        raise InputError(f"{labels}: dataset.format voc expects the folder of the XML files, not a file")
    if dataset.format != "voc" and dataset.format != "auto" and known == "voc":
        raise InputError(f"{labels}: dataset.format {dataset.format} expects a file, not a folder")
    return known or "" if dataset.format == "auto" else dataset.format


def read_labels(
    layout: Layout,
    *,
    photos: PhotoFolder,
    classes: Sequence[str] | None,
    cache: StatCache,
    problems: Problems,
) -> Labels:
    """Read all labels of a data set.

    Args:
        layout: what `locate` found.
        photos: of the data set.
        classes: the user's class names, which settle whether 'traffic light' is one class or two.
        cache: of files read before.
        problems: takes everything that is wrong with the labels.
    """
    order: tuple[str, ...] | None = None
    rows: Mapping[str, tuple[str, ...]]
    try:
        if layout.format == "voc":
            rows = voc.read_annotations(layout.labels, cache=cache, problems=problems)
            if {name for names in rows.values() for name in names} <= set(voc.VOC_CLASSES):
                order = voc.VOC_CLASSES  # the palette indices of VOC's label maps count on it
        elif layout.format == "coco":
            coco_file = coco.read_coco(layout.labels, cache=cache)
            order, rows = coco_file.classes, coco_file.labels
        elif layout.format == "csv":
            rows = table.read_table(layout.labels, classes=classes)
        else:
            rows = folders.read_folders(photos.files)
    except InputError as error:
        problems.add_error("problems of the labels", error)
        return Labels(dict.fromkeys(photos.files, ()), None, layout.labels, readable=False)
    return Labels(_by_image(rows, layout.labels, photos, problems), order, layout.labels)


def _by_image(
    rows: Mapping[str, tuple[str, ...]], source: Path, photos: PhotoFolder, problems: Problems
) -> dict[str, tuple[str, ...]]:
    """Turn names as the source writes them into image_ids."""
    names: dict[str, tuple[str, ...]] = {}
    for row, labels in rows.items():
        image_id = photos.resolve(row)
        if image_id is None:
            problems.add(
                "labels without photo",
                f"{source}: {row!r} has labels, but no photo in {photos.folder}; "
                + photos.remedy(row, otherwise="add it or delete them"),
            )
        elif image_id in names:
            problems.add(
                "images labelled twice",
                f"{source}: {row!r} is image {image_id!r}, which has labels already; delete one of the two",
            )
        else:
            names[image_id] = labels
    return names
