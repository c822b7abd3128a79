"""The tables as one HTML page, with plots and where each cell comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from irnet_pipe.report.bar_chart import Bar, BarChart
from irnet_pipe.report.html import Block, Page, Section, Text, render
from irnet_pipe.report.table import Number, Table
from irnet_pipe.table_rows import PAPER
from irnet_pipe.tables.cells import FilledTable
from irnet_pipe.tables.grids import ABSENT, Contents, Grid, grids, subtitle


def tables_page(contents: Contents, *, results: Path) -> str:
    """All tables as one document.

    Args:
        contents: of the tables.
        results: folder of the artifacts, for the paths of scores.
    """
    *shown, costs = grids(contents)
    sections = [
        Section(grid.title, [_table(grid), _chart(filled)], lead=" ".join(grid.notes))
        for grid, filled in zip(shown, contents.tables.values(), strict=True)
    ]
    sections.append(
        Section(costs.title, [_table(costs), _cost_chart(contents, costs)], lead=" ".join(costs.notes))
    )
    sections.append(_origins(contents, results))
    scored = [row.scored for table in contents.tables.values() for row in table.rows]
    page = Page(
        title=f"Tables of {contents.run}",
        subtitle=subtitle(contents),
        figures=[
            ("rows", str(len(scored))),
            ("seeds", str(len(contents.seeds))),
            ("scores there", f"{sum(map(len, scored))} of {len(scored) * len(contents.seeds)}"),
        ],
        sections=sections,
    )
    return render(page)


def _table(grid: Grid) -> Table:
    return Table(grid.columns, [[name, *map(Number, cells)] for name, *cells in grid.rows])


def _chart(filled: FilledTable) -> BarChart:
    main = filled.table.main
    bars = [
        Bar(
            row.row.label,
            row.figures[main].mean,
            spread=row.figures[main].std,
            mark=row.row.published.get(main),
            pale=row.row.upper_bound,
        )
        for row in filled.rows
    ]
    bounds = any(bar.pale for bar in bars)
    note = f"Dashed: {PAPER}, on PASCAL VOC 2012." if any(bar.mark for bar in bars) else ""
    note += f"{' ' if note else ''}Pale: an upper bound." if bounds else ""
    return BarChart(f"{filled.table.short}: {main}", bars, x_label=f"{main}, percent", note=note)


def _cost_chart(contents: Contents, grid: Grid) -> BarChart:
    seconds = [cost.seconds for cost in (*contents.costs.values(), contents.total)]
    bars = [Bar(row[0], cell.mean, spread=cell.std) for row, cell in zip(grid.rows, seconds, strict=True)]
    return BarChart("Time", bars, x_label="seconds")


def _origins(contents: Contents, results: Path) -> Section:
    blocks: list[Block] = [
        Text("irnet-pipe info FILE"),
        Table(("row", "seed", "there", "scores"), list(_origin_rows(contents, results))),
    ]
    lead = "The scores behind each row and seed, by their recipe; shares of full supervision have those of two rows."
    return Section("Where the cells come from", blocks, lead=lead, folded=True)


def _origin_rows(contents: Contents, results: Path) -> Iterator[list[str | int]]:
    for table in contents.tables.values():
        for row in table.rows:
            for seed, path in row.scores.items():
                there = "yes" if seed in row.scored else ABSENT
                yield [row.row.name, seed, there, str(results / path)]
