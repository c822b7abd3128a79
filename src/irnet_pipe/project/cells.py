"""Cells of a table whose encoding and separator nobody has told: text files and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from irnet_pipe.errors import InputError

DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SAMPLE = 200
"""Rows by which a separator is chosen."""


class Cells(NamedTuple):
    """A table as text.

    Attributes:
        lines: number and stripped cells of each line that is not empty, all as wide as the widest.
        told: how it was read, in words.
    """

    lines: list[tuple[int, list[str]]]
    told: str


def read_text_guessed(path: Path) -> tuple[str, str]:
    """Text of a file, and its encoding: by byte order mark, else UTF-8, else UTF-16 or Windows-1252.

    Raises:
        InputError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    encodings = [name for mark, name in MARKS if data.startswith(mark)]
    if not encodings and b"\0" in data[:400]:
        encodings = ["utf-16-be" if data[:1] == b"\0" else "utf-16-le"]
    for encoding in [*encodings, "utf-8", "cp1252"]:
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "latin-1"


def read_cells(path: Path) -> Cells:
    """Cells of a CSV, TSV or XLSX file.

    Raises:
        InputError: not such a file, or an empty one.
    """
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        lines, told = _sheet(path)
    else:
        text, encoding = read_text_guessed(path)
        delimiter = _delimiter(text)
        told = f"{encoding}, separated by {DELIMITERS[delimiter]}"
        try:
            reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
        except csv.Error as error:
            raise InputError(f"{path}:{reader.line_num}: not a table ({error}); mend the line") from None
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if not lines:
        raise InputError(f"{path}: holds no rows; expected one row an image")
    width = max(len(cells) for _, cells in lines)
    return Cells([(number, cells + [""] * (width - len(cells))) for number, cells in lines], told)


def _delimiter(text: str) -> str:
    """The mark that cuts all lines into as many cells, two or more; else the first one of the first line."""
    sample = text.splitlines(keepends=True)[:SAMPLE]
    for mark in DELIMITERS:
        widths = {len(row) for row in csv.reader(sample, delimiter=mark) if any(row)}
        if len(widths) == 1 and widths.pop() > 1:
            return mark
    return next((mark for mark in DELIMITERS if sample and mark in sample[0]), ",")


def _sheet(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    from openpyxl import load_workbook  # takes longer to import than most tables to read

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 (of a damaged zip or XML it raises anything)
        raise InputError(f"{path}: not an Excel file ({error}); save the sheet as CSV") from None
    try:
        sheet = book.worksheets[0]
        rows = [[_plain(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        told = f"sheet {sheet.title!r}" + f", the first of {len(book.worksheets)}" * (
            len(book.worksheets) > 1
        )
    finally:
        book.close()
    return list(enumerate(rows, 1)), told


def _plain(cell: object) -> str:
    """A cell as the person sees it: whole numbers without fraction, truth as 1 and 0."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def column_names(header: Sequence[str]) -> str:
    """Header as text for messages; a wide one is cut."""
    shown = ", ".join(map(repr, header[:8]))
    return shown + (f" and {len(header) - 8} more" if len(header) > 8 else "")
