"""The tables as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from irnet_pipe.table_rows import PAPER
from irnet_pipe.tables.cells import Cell, FilledRow
from irnet_pipe.tables.costs import RowCost
from irnet_pipe.tables.grids import ABSENT, PLUS_MINUS, Contents, Grid, grids, subtitle

CSV_COLUMNS = ("table", "row", "label", "figure", "mean", "std", "n", "published", "recipes")
SHARE = "share"
"""Ends the name of a figure in percent of what full supervision reaches."""


def markdown(contents: Contents) -> str:
    """All tables, for people."""
    parts = [f"# Tables of {contents.run}", subtitle(contents)]
    for grid in grids(contents):
        parts += [f"## {grid.title}", _markdown_table(grid), *grid.notes]
    return "\n\n".join(parts) + "\n"


def _markdown_table(grid: Grid) -> str:
    rule = ["---", *["---:"] * (len(grid.columns) - 1)]
    lines = [grid.columns, rule, *grid.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


LATEX_SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    ABSENT: "--",
    PLUS_MINUS: r"$\pm$",
}


def latex(contents: Contents) -> str:
    """All tables as `table` environments, without any package."""
    head = f"% Tables of {contents.run}. {_latex_text(subtitle(contents))}\n"
    return head + "\n".join(map(_latex_table, grids(contents)))


def _latex_table(grid: Grid) -> str:
    rows = [[_latex_text(cell) for cell in line] for line in (grid.columns, *grid.rows)]
    head, *body = [f"{' & '.join(line)} \\\\" for line in rows]
    caption = _latex_text(" ".join([f"{grid.title.partition('. ')[2]}.", *grid.notes]))
    lines = [
        r"\begin{table}",
        f"\\caption{{{caption}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(grid.columns) - 1)}}}",
        r"\hline",
        head,
        r"\hline",
        *body,
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_text(text: str) -> str:
    return "".join(LATEX_SIGNS.get(sign, sign) for sign in text)


def table_csv(contents: Contents) -> str:
    """One row a cell: percent, seconds and bytes, not rounded; recipes of the scores behind it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for key, table in contents.tables.items():
        for row in table.rows:
            for figure, cell in _cells(row):
                recipes = " ".join(dict.fromkeys(recipe for of in cell.recipes.values() for recipe in of))
                published = row.row.published.get(figure)
                head = [key, row.row.name, row.row.label, figure]
                writer.writerow([*head, cell.mean, cell.std, len(cell.values), published, recipes])
    for name, cost in [*contents.costs.items(), ("all", contents.total)]:
        for figure, cell in _costs(cost):
            writer.writerow(["cost", name, "", figure, cell.mean, cell.std, len(cell.values), None, ""])
    return stream.getvalue()


def table_json(contents: Contents, *, recipe: str) -> str:
    """All cells with their values by seed and the recipes behind them, for programs.

    Args:
        contents: of the tables.
        recipe: of the publication.
    """
    value = {
        "run": contents.run,
        "recipe": recipe,
        "seeds": contents.seeds,
        "published_by": PAPER,
        "tables": {
            key: {
                "title": table.table.title,
                "images": table.images,
                "rows": {row.row.name: _row_json(row) for row in table.rows},
            }
            for key, table in contents.tables.items()
        },
        "costs": {
            name: {figure: _cell_json(cell) for figure, cell in _costs(cost)}
            for name, cost in [*contents.costs.items(), ("all", contents.total)]
        },
    }
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _cells(row: FilledRow) -> Iterator[tuple[str, Cell]]:
    yield from row.figures.items()
    yield from ((f"{figure} {SHARE}", cell) for figure, cell in row.shares.items())


def _costs(cost: RowCost) -> Iterator[tuple[str, Cell]]:
    yield from ((field.name, getattr(cost, field.name)) for field in fields(cost))


def _row_json(row: FilledRow) -> dict[str, Any]:
    return {
        "label": row.row.label,
        "upper_bound": row.row.upper_bound,
        "published": row.row.published,
        "scores": {str(seed): path for seed, path in row.scores.items()},
        "cells": {figure: _cell_json(cell) for figure, cell in _cells(row)},
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    seeds = {str(seed): value for seed, value in cell.values.items()}
    recipes = {"recipes": {str(seed): of for seed, of in cell.recipes.items()}} if cell.recipes else {}
    return {"mean": cell.mean, "std": cell.std, "n": len(cell.values), "values": seeds} | recipes
