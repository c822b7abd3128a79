"""Labels from a table of any header, separator and encoding; the column of images is the one that names photos."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irnet_pipe.data.labels import FORMAT_OF_SUFFIX
from irnet_pipe.data.labels.table import (
    IMAGE_COLUMNS,
    JOINERS,
    LABEL_COLUMNS,
    NO,
    YES,
    interpret_table,
    read_table,
)
from irnet_pipe.errors import InputError
from irnet_pipe.project.cells import column_names, read_cells
from irnet_pipe.project.found_labels import FoundLabels, PhotoNames

Lines = list[tuple[int, list[str]]]


def find_table_labels(path: Path, photos: PhotoNames) -> FoundLabels:
    """Read a table.

    Raises:
        InputError: no column names photos, or columns that may all hold labels.
    """
    lines, told = read_cells(path)
    assumed: list[str] = []
    image = _image_column(path, lines, photos)
    header, lines = _header(path, lines, image, photos, assumed)
    columns, shape = _label_columns(path, header, lines, image)
    left_out = [header[i] for i in range(len(header)) if i != image and i not in columns]
    if left_out:
        assumed.append(f"columns {column_names(left_out)} hold no labels")
    lines = [(number, cells) for number, cells in lines if cells[image]]
    cut = [(number, [cells[image], *(cells[i] for i in columns)]) for number, cells in lines]
    if shape != "one-hot":
        cut = _without_brackets(path, cut)
    names = [header[i] for i in columns] if shape == "one-hot" else [LABEL_COLUMNS[0]]
    classes = _single_labels(cut, assumed) if shape != "one-hot" else None
    rows = interpret_table(path, [IMAGE_COLUMNS[0], *names], lines=cut, classes=classes)
    if shape != "one-hot":
        shape = "a row a label" if len(rows) < len(cut) else "a row an image"
    told = f"{path.name}: table ({told}); images in column {header[image]!r}, {shape}, " + (
        f"{len(columns)} classes" if shape == "one-hot" else f"labels in column {header[columns[0]]!r}"
    )
    return FoundLabels(told, rows, settings=_settings(path, rows), assumed=assumed)


def _image_column(path: Path, lines: Lines, photos: PhotoNames) -> int:
    found = [sum(photos.resolve(cells[i]) is not None for _, cells in lines) for i in range(len(lines[0][1]))]
    if not any(found):
        raise InputError(
            f"{path}: no column names photos; its first line is {column_names(lines[0][1])}; give file names as "
            "they are in the folder of the photos"
        )
    return found.index(max(found))


def _header(
    path: Path, lines: Lines, image: int, photos: PhotoNames, assumed: list[str]
) -> tuple[list[str], Lines]:
    """Header and the lines below it; a table whose first line names a photo has none."""
    first = lines[0][1]
    if photos.resolve(first[image]) is None:
        return first, lines[1:]
    if len(first) != 2:
        raise InputError(
            f"{path}: the first line, {column_names(first)}, names a photo, so what the {len(first)} columns "
            "hold is not told; add a header line"
        )
    assumed.append("the table has no header line")
    header = ["", ""]
    header[image], header[1 - image] = IMAGE_COLUMNS[0], LABEL_COLUMNS[0]
    return header, lines


def _label_columns(path: Path, header: list[str], lines: Lines, image: int) -> tuple[list[int], str]:
    """Columns that hold labels: one of class names, or one a class, filled with 0 and 1."""
    others = [i for i in range(len(header)) if i != image]
    named = [i for name in LABEL_COLUMNS for i in others if header[i].lower() == name]
    flags = [i for i in others if header[i] and all(cells[i].lower() in YES | NO for _, cells in lines)]
    if len(named) == 1:
        return named, "a row an image"
    if not named and len(flags) > 1:
        return flags, "one-hot"
    if not named and len(others) == 1:
        return others, "one-hot" if flags else "a row an image"
    if not others:
        raise InputError(
            f"{path}: one column alone, {header[image]!r}; separate image and labels by comma, semicolon or tab"
        )
    raise InputError(
        f"{path}: which of the columns {column_names([header[i] for i in others])} holds labels is not clear; name "
        f"it {LABEL_COLUMNS[0]}, or give one column a class, filled with 0 and 1"
    )


def _without_brackets(path: Path, lines: Lines) -> Lines:
    """Lists as Python and JSON write them, "['cat', 'dog']", as labels joined by marks."""
    written = [cells[1] for _, cells in lines if cells[1]]
    if not written or not all(cell.startswith("[") and cell.endswith("]") for cell in written):
        return lines
    return [(number, [cells[0], _joined(path, number, cells[1])]) for number, cells in lines]


def _joined(path: Path, number: int, cell: str) -> str:
    try:
        names = [str(name) for name in ast.literal_eval(cell or "[]")]
    except (ValueError, SyntaxError, TypeError, RecursionError):
        raise InputError(
            f"{path}:{number}: {cell!r} is no list of quoted names; join labels by {JOINERS[0]}"
        ) from None
    return "".join(f"{name}{JOINERS[0]}" for name in names)


def _single_labels(lines: Lines, assumed: list[str]) -> set[str] | None:
    """Cells that are one class each although they hold spaces; None where the marks in them tell."""
    cells = {cells[1] for _, cells in lines if cells[1]}
    if any(mark in cell for cell in cells for mark in JOINERS):
        return None
    alone = {cell for cell in cells if " " not in cell}
    unclear = sorted(cell for cell in cells if " " in cell and not set(cell.split()) <= alone)
    if unclear:
        assumed.append(f"{unclear[0]!r} is one class; join several by ; where it is not")
        return cells
    return None


def _settings(path: Path, rows: Mapping[str, tuple[str, ...]]) -> dict[str, Any] | None:
    """Keys of `dataset` where the index reads the same from this file without help."""
    if FORMAT_OF_SUFFIX.get(path.suffix.lower()) != "csv":
        return None
    try:
        return {"labels": path} if read_table(path) == rows else None
    except InputError:
        return None
