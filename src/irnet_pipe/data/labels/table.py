"""Labels from a CSV or TSV table with a header line.

Three layouts are told apart, and whatever fits two of them is refused:
a row an image, its labels joined by ; | , or spaces; a row a label, so that images recur; a column a class,
filled with 0 and 1.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from irnet_pipe.errors import InputError
from irnet_pipe.text_files import read_text

IMAGE_COLUMNS = ("image_id", "image", "id", "file", "file_name", "filename", "path", "photo", "img", "name")
LABEL_COLUMNS = ("labels", "label", "classes", "class", "class_name", "categories", "category", "tags", "tag")
DELIMITERS = ("\t", ",", ";")
JOINERS = (";", "|", ",")
YES = frozenset({"1", "1.0", "true", "yes", "x", "✓", "✔"})
NO = frozenset({"0", "0.0", "false", "no", "", "-", "–"})


class Row(NamedTuple):
    """A line of the table: its number, image, and the cell of labels."""

    line: int
    image: str
    cell: str


def read_table(path: Path, *, classes: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Read a table of labels.

    Args:
        path: a UTF-8 file; the delimiter is the tab, comma or semicolon of the header line.
        classes: the user's class names, which settle how a cell with spaces is meant.

    Returns:
        Image as the table names it → class names.

    Raises:
        InputError: no such table, or one that can be read in two ways.
    """
    header, lines = _read_lines(path)
    return interpret_table(path, header, lines=lines, classes=classes)


def interpret_table(
    path: Path, header: Sequence[str], *, lines: list[tuple[int, list[str]]], classes: Collection[str] | None
) -> dict[str, tuple[str, ...]]:
    """Labels of a table that has been cut into cells.

    Args:
        path: of the table, for messages.
        header: names of the columns.
        lines: number of each other line, and its cells, as many as the header has.
        classes: the user's class names, which settle how a cell with spaces is meant.

    Returns:
        Image as the table names it → class names.

    Raises:
        InputError: no such table, or one that can be read in two ways.
    """
    image, label = _columns(path, header, lines)
    if label is None:
        return _one_hot(path, header, lines, image)
    rows = [Row(number, cells[image], cells[label]) for number, cells in lines]
    if len({row.image for row in rows}) < len(rows):
        return _row_a_label(path, rows)
    return _row_an_image(path, rows, classes)


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and the other lines with their numbers; cells are stripped."""
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    try:
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not a table ({error}); mend the line") from None
    if len(lines) < 2:
        raise InputError(
            f"{path}: holds no rows below its header; expected a header line and one row an image"
        )
    header = lines[0][1]
    problems = [
        f"{path}:{number}: {len(cells)} cells, but the header has {len(header)}; mend the line, or quote "
        f"cells that hold {delimiter!r}"
        for number, cells in lines[1:]
        if len(cells) != len(header)
    ]
    image = _known(header, IMAGE_COLUMNS)
    if image is not None and not problems:
        problems = [
            f"{path}:{number}: names no image; fill the cell"
            for number, cells in lines[1:]
            if not cells[image]
        ]
    if problems:
        raise InputError(problems)
    return header, lines[1:]


def _known(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Column that bears one of the names; the earlier name wins."""
    lower = [cell.lower() for cell in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _columns(path: Path, header: Sequence[str], lines: list[tuple[int, list[str]]]) -> tuple[int, int | None]:
    """Columns of images and of labels; None for labels in a one-hot table."""
    image = _known(header, IMAGE_COLUMNS)
    if image is None:
        raise InputError(
            f"{path}: header {list(header)} has no column of images; name one of them {IMAGE_COLUMNS[0]} "
            f"(or {', '.join(IMAGE_COLUMNS[1:])})"
        )
    others = [i for i in range(len(header)) if i != image]
    labels = [i for i in others if header[i].lower() in LABEL_COLUMNS]
    flags = [i for i in others if i not in labels and all(cells[i].lower() in YES | NO for _, cells in lines)]
    if len(labels) > 1 or (labels and flags):
        names = [header[i] for i in labels + flags]
        raise InputError(
            f"{path}: columns {names} may all hold labels; keep one column of labels, or one a class"
        )
    if labels:
        return image, labels[0]
    if len(others) == 1 and not flags:
        return image, others[0]
    if not others:
        raise InputError(f"{path}: header {list(header)} has no column of labels; name it {LABEL_COLUMNS[0]}")
    return image, None


def _one_hot(
    path: Path, header: Sequence[str], lines: list[tuple[int, list[str]]], image: int
) -> dict[str, tuple[str, ...]]:
    columns = [i for i in range(len(header)) if i != image]
    problems = [f"{path}: column {i + 1} has no name; name its class" for i in columns if not header[i]]
    rows: dict[str, tuple[str, ...]] = {}
    for number, cells in lines:
        problems += [
            f"{path}:{number}: column {header[i]!r} holds {cells[i]!r}, expected 0 or 1; mend the cell, "
            f"or name the column of labels {LABEL_COLUMNS[0]}"
            for i in columns
            if cells[i].lower() not in YES | NO
        ]
        if cells[image] in rows:
            problems.append(f"{path}:{number}: image {cells[image]!r} has a row already; delete one of them")
        rows[cells[image]] = tuple(header[i] for i in columns if cells[i].lower() in YES)
    if problems:
        raise InputError(problems)
    return rows


def _row_a_label(path: Path, rows: list[Row]) -> dict[str, tuple[str, ...]]:
    joined = [row for row in rows if any(mark in row.cell for mark in JOINERS)]
    if joined:
        raise InputError(
            f"{path}:{row.line}: {row.cell!r} looks like several labels, yet images recur in other rows; "
            "give one row an image, or one label a row"
            for row in joined
        )
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        names = found.setdefault(row.image, {})
        if row.cell:
            names[row.cell] = None
    return {image: tuple(names) for image, names in found.items()}


def _row_an_image(path: Path, rows: list[Row], classes: Collection[str] | None) -> dict[str, tuple[str, ...]]:
    joiner = _joiner(path, rows, classes)
    found = {}
    for row in rows:
        parts = [row.cell] if joiner is None else row.cell.split(joiner if joiner != " " else None)
        found[row.image] = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    return found


def _joiner(path: Path, rows: list[Row], classes: Collection[str] | None) -> str | None:
    """What joins the labels of a cell; None where each cell is one label."""
    cells = {row.cell for row in rows if row.cell}
    if classes is not None and cells <= set(classes):
        return None
    listed = sorted(cell for cell in cells if cell.startswith("[") and cell.endswith("]"))
    if listed:
        raise InputError(f"{path}: {listed[0]!r} looks like a list of a program; join labels by ;")
    if cells and all(JOINERS[0] in cell for cell in cells):
        return JOINERS[0]  # whatever else the names hold
    marks = [mark for mark in JOINERS if any(mark in cell for cell in cells)]
    if len(marks) > 1:
        raise InputError(
            f"{path}: labels are joined by {' and by '.join(marks)}; join all of them by ; (with one at the end of "
            "single labels, if names hold other marks)"
        )
    if marks:
        return marks[0]
    # 'cat dog' beside 'cat' and 'dog' is two labels; 'traffic light' alone could be one or two.
    alone = set(classes) if classes is not None else {cell for cell in cells if " " not in cell}
    unclear = sorted(cell for cell in cells if " " in cell and not set(cell.split()) <= alone)
    if unclear:
        raise InputError(
            f"{path}: {unclear[0]!r} may be one label or several; join labels by ; (one at the end of a "
            "single label will do), or set dataset.classes"
        )
    return " "
