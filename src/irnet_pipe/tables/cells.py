"""What the cells of the tables hold: figures by seed from the scores that are there, with the recipes behind them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.evaluation.tables import MEAN, join_scores, score_rows
from irnet_pipe.recipes import Parent, Record
from irnet_pipe.tables.rows import TABLES, Row, Table, rows_named


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
    cells: dict[str, dict[str, str]] = publication.spec["cells"]
    scores = {parent.recipe: _Scores(parent, results) for parent in publication.parents}
    filled = {}
    for key, table in TABLES.items():
        rows = [row for row in rows_named(cells) if row.table == key]
        if rows:
            of = {
                row.name: {int(seed): scores[recipe] for seed, recipe in sorted(cells[row.name].items())}
                for row in rows
            }
            filled[key] = _fill(table, rows, of)
    return filled


class _Scores:
    """Content of an artifact of kind scores, as far as it is there."""

    def __init__(self, parent: Parent, results: Path) -> None:
        self.parent = parent
        there = (results / parent.path).is_file()
        self.content: dict[str, Any] | None = (
            read_json(results / parent.path, kind="scores") if there else None
        )

    @property
    def figures(self) -> dict[str, float]:
        """Figure → mean over classes, percent."""
        if self.content is None:
            return {}
        rows = score_rows(join_scores([self.content]))
        return {figure: value for _, figure, name, value in rows if name == MEAN and value is not None}


def _fill(table: Table, rows: list[Row], scores: dict[str, dict[int, _Scores]]) -> FilledTable:
    bound = next((row for row in rows if row.upper_bound), None)
    filled = []
    for row in rows:
        own = scores[row.name]
        shares = (
            {figure: _share(figure, own, scores[bound.name]) for figure in table.figures} if bound else {}
        )
        filled.append(
            FilledRow(
                row,
                {figure: _cell(figure, own) for figure in table.figures},
                shares,
                {seed: part.parent.path for seed, part in own.items()},
                frozenset(seed for seed, part in own.items() if part.content),
            )
        )
    parts = [part.content for by_seed in scores.values() for part in by_seed.values() if part.content]
    images = parts[0]["images"] if parts else None
    return FilledTable(table, tuple(filled), images, _most(parts, "images_with_predicted_classes"))


def _most(parts: Iterable[dict[str, Any]], key: str) -> int:
    return max((part[key] for part in parts), default=0)


def _cell(figure: str, scores: dict[int, _Scores]) -> Cell:
    return Cell(
        {seed: part.figures[figure] for seed, part in scores.items() if figure in part.figures},
        {seed: (part.parent.recipe,) for seed, part in scores.items()},
    )


def _share(figure: str, scores: dict[int, _Scores], bound: dict[int, _Scores]) -> Cell:
    """Percent of full supervision, seed by seed."""
    own, full = _cell(figure, scores), _cell(figure, bound)
    return Cell(
        {
            seed: 100 * value / full.values[seed]
            for seed, value in own.values.items()
            if full.values.get(seed, 0) > 0
        },
        {seed: recipes + full.recipes[seed] for seed, recipes in own.recipes.items()},
    )
