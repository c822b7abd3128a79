"""The tables as text in rows and columns, before any format: numbers rounded, headings and notes in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irnet_pipe.table_rows import PAPER, TABLES
from irnet_pipe.tables.cells import Cell, FilledTable
from irnet_pipe.tables.costs import RowCost

ABSENT = "–"
PLUS_MINUS = "±"
MIB = 1 << 20


@dataclass(frozen=True)
class Contents:
    """All that the tables show.

    Attributes:
        run: its name.
        seeds: that the tables are asked for.
        tables: key → table.
        costs: name of a row → its cost.
        total: the cost of all rows, what they share once.
    """

    run: str
    seeds: tuple[int, ...]
    tables: dict[str, FilledTable]
    costs: dict[str, RowCost]
    total: RowCost


@dataclass(frozen=True)
class Grid:
    """A table of texts; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def grids(contents: Contents) -> list[Grid]:
    """The tables in order, costs last."""
    seeds = len(contents.seeds)
    shown = [_table(table, seeds) for table in contents.tables.values()]
    grid = [*shown, _costs(contents)]
    return [Grid(f"{n}. {g.title}", g.columns, g.rows, g.notes) for n, g in enumerate(grid, start=1)]


def subtitle(contents: Contents) -> str:
    """What the cells are."""
    if len(contents.seeds) == 1:
        return f"Run {contents.run}, seed {contents.seeds[0]}; {ABSENT}: not run."
    return (
        f"Run {contents.run}, seeds {', '.join(map(str, contents.seeds))}: mean {PLUS_MINUS} sample standard "
        f"deviation over them, of n where some were not run; {ABSENT}: not run."
    )


def cell_text(cell: Cell, *, seeds: int, decimals: int = 1, unit: float = 1) -> str:
    """A cell as text.

    Args:
        cell: to be shown.
        seeds: that were asked for.
        decimals: of mean and standard deviation.
        unit: of the text, in those of the values.
    """
    if cell.mean is None:
        return ABSENT
    text = f"{cell.mean / unit:.{decimals}f}"
    if cell.std is not None:
        text += f" {PLUS_MINUS} {cell.std / unit:.{decimals}f}"
    return text if len(cell.values) == seeds else f"{text} (n = {len(cell.values)})"


def _table(filled: FilledTable, seeds: int) -> Grid:
    heads, texts = zip(*_columns(filled, seeds), strict=True)
    return Grid(filled.table.title, heads, list(zip(*texts, strict=True)), list(_notes(filled)))


def _columns(filled: FilledTable, seeds: int) -> Iterator[tuple[str, list[str]]]:
    """Heading and texts of each column."""
    rows, figures = filled.rows, filled.table.figures
    yield filled.table.short, [row.row.label for row in rows]
    for figure in figures:
        yield figure, [cell_text(row.figures[figure], seeds=seeds) for row in rows]
    if any(row.shares for row in rows):
        for figure in figures:
            shares = [cell_text(row.shares[figure], seeds=seeds) for row in rows]
            yield f"{figure}, % of full supervision", shares
    for figure in figures:
        published = [row.row.published.get(figure) for row in rows]
        if any(published):
            yield f"{figure}, {PAPER}", [ABSENT if value is None else f"{value:.1f}" for value in published]


def _notes(filled: FilledTable) -> Iterator[str]:
    where = "images that no training has seen" if filled.table.segmenter else "images"
    on = "" if filled.images is None else f", on {filled.images} {where}"
    protocol = "; AP by the VOC protocol" if filled.table.main.startswith("AP") else ""
    yield f"Percent{on}{protocol}."
    if filled.predicted and not filled.table.segmenter:
        yield f"The classes of {filled.predicted} of them were predicted by the classifier."
    if any(row.row.upper_bound for row in filled.rows):
        yield "Trained on ground truth: an upper bound, not a result of image-level labels."
    if any(row.row.published for row in filled.rows):
        yield (
            f"{PAPER}: on PASCAL VOC 2012, with ResNet-50; comparable with nothing but runs there. {ABSENT} in that "
            "column: no figure that we could look up."
        )


COST_COLUMNS = (
    "row",
    "seconds",
    "peak memory, MiB",
    "peak GPU memory, MiB",
    "files, MiB",
    "artifacts",
    "of unknown cost",
)


def _costs(contents: Contents) -> Grid:
    seeds = len(contents.seeds)
    labels = {
        filled.row.name: f"{TABLES[filled.row.table].short}: {filled.row.label}"
        for table in contents.tables.values()
        for filled in table.rows
    }
    rows = [_cost_row(labels[name], cost, seeds) for name, cost in contents.costs.items()]
    rows.append(_cost_row("all rows", contents.total, seeds))
    notes = [
        "Of all that a row is made of, for one seed: what rows share is counted in each of them, and once in the last "
        "line.",
        "Seconds are sums over jobs and all attempts at them, whenever they ran; the peak is that of the largest job; "
        "files are those that are still there.",
    ]
    return Grid("Cost", COST_COLUMNS, rows, notes)


def _cost_row(label: str, cost: RowCost, seeds: int) -> list[str]:
    return [
        label,
        cell_text(cost.seconds, seeds=seeds, decimals=0),
        cell_text(cost.peak_memory, seeds=seeds, decimals=0, unit=MIB),
        cell_text(cost.peak_device_memory, seeds=seeds, decimals=0, unit=MIB),
        cell_text(cost.n_bytes, seeds=seeds, unit=MIB),
        cell_text(cost.artifacts, seeds=seeds, decimals=0),
        cell_text(cost.unknown, seeds=seeds, decimals=0),
    ]
