"""What the cells of the tables hold: figures by seed from the scores that are there, with the recipes behind them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.evaluation.tables import MEAN, join_scores, score_rows
from irnet_pipe.recipes import Parent, Record
from irnet_pipe.table_rows import TABLES, Row, Table, rows_named


@dataclass(frozen=True)
class Cell:
    """A figure over seeds.

    Attributes:
        values: seed → value, of the seeds that were run.
        recipes: seed → recipes of the scores behind the value, whether run or not.
    """

    values: dict[int, float] = field(default_factory=dict)
    recipes: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None where none was run."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for fewer than two seeds."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True)
class FilledRow:
    """A row and its cells.

    Attributes:
        row: what it is.
        figures: figure → cell, percent.
        shares: figure → percent of what full supervision reaches with the same seed; empty without that row.
        scores: seed → path of its scores below the results folder.
        scored: seeds whose scores are there.
    """

    row: Row
    figures: dict[str, Cell]
    shares: dict[str, Cell]
    scores: dict[int, str]
    scored: frozenset[int]


@dataclass(frozen=True)
class FilledTable:
    """A table with its rows.

    Attributes:
        table: what it is.
        rows: in order.
        images: scored ones; None where nothing was run.
        predicted: of these, images whose classes the classifier predicted.
    """

    table: Table
    rows: tuple[FilledRow, ...]
    images: int | None
    predicted: int


def fill_tables(publication: Record, results: Path) -> dict[str, FilledTable]:
    """Every table of a publication, by its key; what was not run has no values.

    Args:
        publication: the record of the tables.
        results: folder of the artifacts.

    Raises:
        ArtifactError: scores are damaged.
    """
    scores = {parent.recipe: _read(parent, results) for parent in publication.parents}
    by_row: dict[str, _BySeed] = {
        name: {int(seed): scores[recipe] for seed, recipe in of.items()}
        for name, of in publication.spec["cells"].items()
    }
    rows = rows_named(by_row)
    filled = {
        key: _fill(table, [row for row in rows if row.table == key], by_row) for key, table in TABLES.items()
    }
    return {key: table for key, table in filled.items() if table.rows}


@dataclass(frozen=True)
class _Scores:
    """An artifact of kind scores, as far as it is there.

    Attributes:
        recipe: its recipe.
        path: below the results folder.
        content: None where it was not made.
    """

    recipe: str
    path: str
    content: dict[str, Any] | None

    @cached_property
    def figures(self) -> dict[str, float]:
        """Figure → mean over classes, percent."""
        rows = score_rows(join_scores([self.content])) if self.content else ()
        return {figure: value for _, figure, name, value in rows if name == MEAN and value is not None}


_BySeed = dict[int, _Scores]


def _read(parent: Parent, results: Path) -> _Scores:
    path = results / parent.path
    return _Scores(parent.recipe, parent.path, read_json(path, kind="scores") if path.is_file() else None)


def _fill(table: Table, rows: list[Row], scores: dict[str, _BySeed]) -> FilledTable:
    bound = next((scores[row.name] for row in rows if row.upper_bound), None)
    filled = tuple(_fill_row(table, row, scores[row.name], bound) for row in rows)
    there = [part.content for row in rows for part in scores[row.name].values() if part.content]
    return FilledTable(
        table,
        filled,
        images=there[0]["images"] if there else None,
        predicted=max((content["images_with_predicted_classes"] for content in there), default=0),
    )


def _fill_row(table: Table, row: Row, own: _BySeed, bound: _BySeed | None) -> FilledRow:
    return FilledRow(
        row,
        figures={figure: _cell(figure, own) for figure in table.figures},
        shares={figure: _share(figure, own, bound) for figure in table.figures} if bound else {},
        scores={seed: part.path for seed, part in own.items()},
        scored=frozenset(seed for seed, part in own.items() if part.content),
    )


def _cell(figure: str, scores: _BySeed) -> Cell:
    return Cell(
        {seed: part.figures[figure] for seed, part in scores.items() if figure in part.figures},
        {seed: (part.recipe,) for seed, part in scores.items()},
    )


def _share(figure: str, scores: _BySeed, bound: _BySeed) -> Cell:
    """Percent of full supervision, seed by seed."""
    own, full = _cell(figure, scores), _cell(figure, bound)
    return Cell(
        {
            seed: 100 * value / full.values[seed]
            for seed, value in own.values.items()
            if full.values.get(seed, 0) > 0
        },
        {seed: tuple(dict.fromkeys(of + full.recipes[seed])) for seed, of in own.recipes.items()},
    )
