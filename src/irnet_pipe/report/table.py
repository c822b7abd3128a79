"""Tables of a page, each with a link that saves it as CSV: the page itself holds the file."""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote


@dataclass(frozen=True)
class Number:
    """A number as it is to be printed."""

    text: str


Cell = str | Number | int | float | None


@dataclass(frozen=True)
class Table:
    """A table; numbers are set right, nan and None as a dash. The first column names the row.

    Attributes:
        columns: headings.
        rows: cells, one per column.
        decimals: of floats.
        note: a sentence below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    decimals: int = 1
    note: str = ""


def render_table(table: Table, *, title: str) -> str:
    """The table; `title` is what people hear it called, and its file is named after it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, decimals=table.decimals) for cell in row)}</tr>" for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(title)}"><table><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>{_link(table, title)}{note}"
    )


def table_csv(table: Table) -> str:
    """The table as CSV: floats in full, nan and None as nothing."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_value(cell) for cell in row] for row in table.rows)
    return stream.getvalue()


def _link(table: Table, title: str) -> str:
    name = re.sub(r"\W+", "_", title.lower()).strip("_") or "table"
    address = f"data:text/csv;charset=utf-8,{quote(table_csv(table))}"
    return f'<p class="save"><a download="{escape(name)}.csv" href="{address}">{escape(title)} as CSV</a></p>'


def _value(cell: Cell) -> str | int | float | None:
    if isinstance(cell, Number):
        return cell.text
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _cell(cell: Cell, *, decimals: int) -> str:
    match cell:
        case str():
            return f"<td>{escape(cell)}</td>"
        case Number():
            return f'<td class="number">{escape(cell.text)}</td>'
        case float() if math.isfinite(cell):
            return f'<td class="number">{cell:.{decimals}f}</td>'
        case int():
            return f'<td class="number">{cell}</td>'
        case None | float():
            return '<td class="number">–</td>'
