"""Which label format a file or folder is of, and where labels lie that nobody has named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from irnet_pipe.data.labels import LABEL_NAMES, coco, folders, voc
from irnet_pipe.data.photo_files import PhotoFolder
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import StatCache, scan_files
from irnet_pipe.errors import InputError
from irnet_pipe.project.foreign import (
    find_image_sets,
    find_json_labels,
    find_yolo_labels,
    is_coco,
    refuse_npy,
)
from irnet_pipe.project.found_labels import FoundLabels, PhotoNames
from irnet_pipe.project.tables import find_table_labels

TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")
JSONS = (".json", ".jsonl", ".ndjson")
FOLDERS = ("Annotations", "ImageSets/Main", "labels")
NEGATIVES = frozenset({"none", "nothing", "negative", "negatives", "background", "empty"})
"""Folders that stand for no class among those that are one."""

NATIVE = {"voc": "an XML a photo", "coco": "COCO json", "folders": "a folder a class"}


def recognise(root: Path, labels: Path | None, *, photos: PhotoFolder, cache: StatCache) -> FoundLabels:
    """Find and read the labels of a folder of photos.

    Args:
        root: the folder of the photos.
        labels: file or folder that the user names; None where they lie with the photos.
        photos: of the folder.
        cache: of files read before.

    Raises:
        InputError: no labels, several of them, or labels that cannot be read.
    """
    source = _lying_there(root, photos) if labels is None else _inner(labels)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; give --labels the file or folder of the labels")
    names = PhotoNames(photos)

    def native(kind: str) -> FoundLabels:
        return _native(kind, source, photos, cache)

    if source.is_dir():
        return _of_folder(source, photos, native)
    suffix = source.suffix.lower()
    if suffix == ".npy":
        refuse_npy(source)
    if suffix in JSONS:
        return native("coco") if suffix == ".json" and is_coco(source) else find_json_labels(source, names)
    if suffix in TABLES:
        return find_table_labels(source, names)
    raise InputError(
        f"{source}: suffix {suffix!r} is of no known format; give a table ({', '.join(TABLES)}), a JSON "
        f"({', '.join(JSONS)}), or a folder of XML or txt files"
    )


def _lying_there(root: Path, photos: PhotoFolder) -> Path:
    """Labels in the folder of the photos; Annotations count before ImageSets, which say the same."""
    usual = [root / name for names in LABEL_NAMES.values() for name in names]
    suffixes = {*TABLES, *JSONS, ".npy"} - {".txt"}  # which are lists of photos more often
    files = [path for path in sorted(root.iterdir()) if path.suffix.lower() in suffixes]
    found = [path for path in usual if path.is_file()] or [path for path in files if _may_hold_labels(path)]
    folders = [root / name for name in FOLDERS if (root / name).is_dir()]
    if root.name == "images" and (root.parent / "labels").is_dir():
        folders.append(root.parent / "labels")
    found += folders[:1]
    if len(found) == 1:
        return found[0]
    if found:
        listing = " and ".join(str(path.relative_to(root.parent)) for path in found)
        raise InputError(f"{root}: labels may be in {listing}; give --labels the one that counts")
    if any("/" in image_id for image_id in photos.files):
        return photos.folder
    raise InputError(
        f"{root}: no labels found (a table, a JSON, Annotations, or a folder a class); give --labels the file or "
        "folder of the labels"
    )


def _inner(labels: Path) -> Path:
    """Where labels lie in what the user names, which may be a folder of VOC or YOLO as a whole."""
    return next((labels / name for name in (*FOLDERS, "Main") if (labels / name).is_dir()), labels)


def _may_hold_labels(path: Path) -> bool:
    return path.is_file() and path.stem.lower() not in ("readme", "license", "classes", "obj")


def _of_folder(source: Path, photos: PhotoFolder, native: Callable[[str], FoundLabels]) -> FoundLabels:
    if source.resolve() == photos.folder.resolve():
        return _of_class_folders(native("folders"))
    files = scan_files(source, suffixes={".xml", ".txt"})
    if any(name.lower().endswith(".xml") for name in files):
        return native("voc")
    if any(name.endswith(("_train.txt", "_val.txt", "_trainval.txt", "_test.txt")) for name in files):
        return find_image_sets(source, names=files)
    if files:
        return find_yolo_labels(source, photos, names=files)
    raise InputError(f"{source}: holds no XML or txt files; give --labels the file or folder of the labels")


def _of_class_folders(found: FoundLabels) -> FoundLabels:
    """Labels by folders, of which one may hold the negatives."""
    empty = sorted({name for names in found.names.values() for name in names if name.lower() in NEGATIVES})
    if not empty:
        return found
    labels = {
        image: tuple(name for name in names if name not in empty) for image, names in found.names.items()
    }
    assumed = [f"photos in the folder {name!r} are negatives" for name in empty]
    return FoundLabels(found.told, labels, assumed=assumed)


def _native(kind: str, source: Path, photos: PhotoFolder, cache: StatCache) -> FoundLabels:
    """Labels of a format that the index reads by itself."""
    problems, classes = Problems(), None
    names: Mapping[str, tuple[str, ...]]
    if kind == "voc":
        names = voc.read_annotations(source, cache=cache, problems=problems)
    elif kind == "coco":
        content = coco.read_coco(source, cache=cache)
        names, classes = content.labels, content.classes
    else:
        names = folders.read_folders(photos.files)
    problems.check()
    settings = {"format": kind} if kind == "folders" else {"labels": source}
    return FoundLabels(f"{source.name}: {NATIVE[kind]}", names, classes=classes, settings=settings)
