"""Labels in formats that `init` alone reads: JSON and JSONL, VOC's ImageSets/Main, YOLO; and .npy, which is refused."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Never

import yaml

from irnet_pipe.data.labels.table import IMAGE_COLUMNS, JOINERS, LABEL_COLUMNS
from irnet_pipe.data.labels.voc import VOC_CLASSES
from irnet_pipe.data.photo_files import PhotoFolder
from irnet_pipe.data.scan import split_suffix
from irnet_pipe.errors import InputError
from irnet_pipe.project.cells import read_text_guessed
from irnet_pipe.project.found_labels import FoundLabels, PhotoNames

COCO_KEYS = {"images", "annotations", "categories"}
CLASS_FILES = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt", "obj.names", "classes.names")
SETS = ("_trainval", "_train", "_val", "_test")
"""Ends of the lists of a class in ImageSets/Main."""

TO_JSON = """\
import json, numpy; labels = numpy.load({name!r}, allow_pickle=True).item()
json.dump({{str(k): numpy.asarray(v).tolist() for k, v in labels.items()}}, open({json!r}, "w"))"""


def refuse_npy(path: Path) -> Never:
    """Tell how a .npy file becomes a JSON.

    Raises:
        InputError: always: objects in it are pickles, which run code when they are read, and arrays name no photo.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if not head.startswith(b"\x93NUMPY"):
        raise InputError(f"{path}: not a .npy file; give the file of the labels")
    if b"|O" not in head:
        raise InputError(
            f"{path}: an array of numbers, which names no photos; give a table or JSON of photos and classes"
        )
    target = path.with_suffix(".json").name
    lines = TO_JSON.format(name=path.name, json=target)
    raise InputError(
        f"{path}: holds Python objects (a pickle), which may run any code when read; if you trust it, convert it by "
        f"these two lines of Python, then give --labels {target}:\n{lines}"
    )


def is_coco(path: Path) -> bool:
    """Whether a JSON has the keys of COCO."""
    content = _json(path)
    return isinstance(content, dict) and content.keys() >= COCO_KEYS


def _json(path: Path) -> Any:
    text, _ = read_text_guessed(path)
    try:
        if path.suffix.lower() != ".json":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); mend the file") from None


def find_json_labels(path: Path, photos: PhotoNames) -> FoundLabels:
    """Read a JSON or JSONL of photos and classes: {photo: labels}, or a list of objects that name both.

    Labels are a name, a list of names, {class: 0 or 1}, or numbers 0 and 1 in the order of the classes.

    Raises:
        InputError: of another structure.
    """
    content = _json(path)
    rows = list(content.items()) if isinstance(content, dict) else list(_pairs(path, content))
    if not any(photos.resolve(str(image)) for image, _ in rows):
        raise InputError(
            f"{path}: names no photo of the folder; expected {{photo: [class, …], …}} or objects with the keys "
            f"{IMAGE_COLUMNS[0]} and {LABEL_COLUMNS[0]}"
        )
    classes, assumed = _classes_of_vectors(path, [labels for _, labels in rows])
    names: dict[str, tuple[str, ...]] = {}
    for image, labels in rows:
        known = names.get(str(image), ())
        names[str(image)] = tuple(dict.fromkeys([*known, *_names(path, image, labels, classes)]))
    joined = sorted({name for row in names.values() for name in row if any(mark in name for mark in JOINERS)})
    if joined:
        assumed = [*assumed, f"{joined[0]!r} is one class; give a list of names where it is not"]
    return FoundLabels(f"{path.name}: {len(rows)} entries", names, classes=classes, assumed=assumed)


def _pairs(path: Path, content: Any) -> Iterator[tuple[Any, Any]]:
    """Image and labels of each object of a list."""
    if not isinstance(content, list):
        raise InputError(f"{path}: holds {type(content).__name__}, expected an object or a list of objects")
    for number, item in enumerate(content, 1):
        keys = {str(key).lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
        image = next((keys[key] for key in IMAGE_COLUMNS if key in keys), None)
        labels = next((key for key in LABEL_COLUMNS if key in keys), None)
        if image is None or labels is None:
            raise InputError(
                f"{path}: entry {number} has no key for its image or for its labels; name them "
                f"{IMAGE_COLUMNS[0]} and {LABEL_COLUMNS[0]}"
            )
        yield image, keys[labels]


def _is_vector(labels: Any) -> bool:
    return isinstance(labels, list) and bool(labels) and all(type(v) in (int, float) for v in labels)


def _classes_of_vectors(path: Path, labels: Iterable[Any]) -> tuple[tuple[str, ...] | None, list[str]]:
    """Class names of labels that are numbers, and where they were found."""
    lengths = {len(value) for value in labels if _is_vector(value)}
    if not lengths:
        return None, []
    if len(lengths) > 1:
        raise InputError(f"{path}: vectors of {sorted(lengths)} numbers; give each photo one a class")
    (length,) = lengths
    found = class_names([path.parent])
    if found and len(found[1]) == length:
        return found[1], [f"classes are named by {found[0]}"]
    if length == len(VOC_CLASSES):
        return VOC_CLASSES, ["20 numbers a photo: the classes of PASCAL VOC in their order"]
    raise InputError(
        f"{path}: {length} numbers a photo, but no names of classes; put them into "
        f"{path.parent / 'classes.txt'}, one a line"
    )


def _names(path: Path, image: Any, labels: Any, classes: tuple[str, ...] | None) -> list[str]:
    """Class names of one photo."""
    if labels is None:
        return []
    if isinstance(labels, str):
        return [labels.strip()] if labels.strip() else []
    if _is_vector(labels) and classes:
        if not set(labels) <= {0, 1}:
            raise InputError(f"{path}: {image!r} has numbers other than 0 and 1; give one a class")
        return [name for name, value in zip(classes, labels, strict=True) if value]
    if isinstance(labels, dict):
        return [str(name) for name, value in labels.items() if value]
    if isinstance(labels, list):
        found = [_name_of(item) for item in labels]
        if None not in found:
            return [name for name in found if name]
    raise InputError(f"{path}: labels of {image!r} are {labels!r}; give a list of class names")


def _name_of(item: Any) -> str | None:
    """Class name of one label: a text, or an object that has one."""
    if isinstance(item, dict):
        item = next((item[key] for key in ("name", *LABEL_COLUMNS) if key in item), None)
    return item.strip() if isinstance(item, str) else None


def find_image_sets(folder: Path, *, names: Collection[str]) -> FoundLabels:
    """Read VOC's ImageSets/Main: `<class>_<set>.txt` with 1, 0 (difficult) or -1 behind each image_id.

    Args:
        folder: of the lists.
        names: its files; lists without class are left out.

    Raises:
        InputError: a line of another form.
    """
    labels: dict[str, dict[str, None]] = {}
    classes = set()
    for name in sorted(names):
        stem = name.rsplit("/", 1)[-1].removesuffix(".txt")
        ending = next((ending for ending in SETS if stem.endswith(ending)), None)
        if ending is None:
            continue
        classes.add(stem.removesuffix(ending))
        text, _ = read_text_guessed(folder / name)
        for number, line in enumerate(text.splitlines(), 1):
            image, _, flag = line.strip().rpartition(" ")
            if not line.strip():
                continue
            if flag not in ("1", "0", "-1") or not image.strip():
                raise InputError(f"{folder / name}:{number}: {line!r}, expected an image_id and 1, 0 or -1")
            present = labels.setdefault(image.strip(), {})
            if flag != "-1":
                present[stem.removesuffix(ending)] = None
    order = VOC_CLASSES if classes <= set(VOC_CLASSES) else tuple(sorted(classes))
    told = (
        f"{'/'.join(folder.resolve().parts[-2:])}: lists of {len(classes)} classes, difficult objects count"
    )
    return FoundLabels(told, {image: tuple(found) for image, found in labels.items()}, classes=order)


def find_yolo_labels(folder: Path, photos: PhotoFolder, *, names: Collection[str]) -> FoundLabels:
    """Read YOLO's txt files: the first number of each line is the class; boxes and polygons are left out.

    Args:
        folder: of the files, in sub-folders as the photos.
        photos: those without file are negatives.
        names: the files.

    Raises:
        InputError: names of classes are missing, or a line of another form.
    """
    found = class_names([folder, *list(folder.parents)[:2]])
    if found is None:
        raise InputError(
            f"{folder}: YOLO labels are numbers, and no file names the classes; put the names into "
            f"{folder / 'classes.txt'}, one a line, in the order of the numbers"
        )
    source, classes = found
    labels: dict[str, tuple[str, ...]] = dict.fromkeys(photos.files, ())
    without = len(labels) - len(labels.keys() & {split_suffix(name)[0] for name in names})
    for name in names:
        if name.rsplit("/", 1)[-1] not in CLASS_FILES:
            labels[split_suffix(name)[0]] = _yolo_classes(folder / name, classes)
    assumed = [f"classes are named by {source}"]
    if without:
        assumed.append(f"{without} photos without a txt file are negatives, as YOLO has it")
    told = f"{folder.name}: YOLO txt files, of which the classes are read"
    return FoundLabels(told, labels, classes=classes, assumed=assumed)


def _yolo_classes(path: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    present: dict[str, None] = {}
    for number, line in enumerate(read_text_guessed(path)[0].splitlines(), 1):
        if not line.split():
            continue
        first = line.split()[0]
        if not first.isdecimal() or int(first) >= len(classes):
            raise InputError(
                f"{path}:{number}: class {first!r}, expected a number below {len(classes)}, the number of classes"
            )
        present[classes[int(first)]] = None
    return tuple(present)


def class_names(folders: Iterable[Path]) -> tuple[Path, tuple[str, ...]] | None:
    """The first file in some folders that names classes, and the names in the order of their numbers.

    Raises:
        InputError: a YAML without a list or mapping `names`.
    """
    for path in (folder / name for folder in folders for name in CLASS_FILES):
        if not path.is_file():
            continue
        text, _ = read_text_guessed(path)
        if path.suffix not in (".yaml", ".yml"):
            return path, tuple(line.strip() for line in text.splitlines() if line.strip())
        try:
            names = (yaml.safe_load(text) or {}).get("names")
        except (yaml.YAMLError, AttributeError) as error:
            raise InputError(f"{path}: not a YAML of a data set ({error}); mend the file") from None
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list):
            raise InputError(f"{path}: names is no list of classes; name them in the order of their numbers")
        return path, tuple(map(str, names))
    return None
