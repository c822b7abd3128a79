"""The tables as files, from the scores that are there."""

from __future__ import annotations

from pathlib import Path

from irnet_pipe.recipes import MARKERS, Record
from irnet_pipe.tables.cells import fill_tables
from irnet_pipe.tables.costs import row_costs
from irnet_pipe.tables.formats import latex, markdown, table_csv, table_json
from irnet_pipe.tables.grids import Contents
from irnet_pipe.tables.page import tables_page
from irnet_pipe.text_files import replace_text


def read_tables(publication: Record, results: Path) -> Contents:
    """What the tables show: scores, and costs of all that they are made of.

    Args:
        publication: the record of the tables.
        results: folder of the artifacts.

    Raises:
        InputError: scores are damaged, or a record is missing.
    """
    cells: dict[str, dict[str, str]] = publication.spec["cells"]
    tables = fill_tables(publication, results)
    costs, total = row_costs(publication, results, tables.values())
    return Contents(
        run=str(Path(publication.spec["run"]).parent),
        seeds=tuple(sorted({int(seed) for by_seed in cells.values() for seed in by_seed})),
        tables=tables,
        costs=costs,
        total=total,
    )


def write_tables(publication: Record, results: Path, folder: Path) -> None:
    """Write tables.md, .tex, .csv, .json and .html.

    A marker that vouches for what lay there before is removed first.

    Args:
        publication: the record of the tables.
        results: folder of the artifacts.
        folder: made if it does not exist.

    Raises:
        InputError: see `read_tables`.
    """
    contents = read_tables(publication, results)
    texts = {
        "md": markdown(contents),
        "tex": latex(contents),
        "csv": table_csv(contents),
        "json": table_json(contents, recipe=publication.recipe),
        "html": tables_page(contents, results=results),
    }
    for marker in folder.glob(MARKERS):
        marker.unlink()
    for suffix, text in texts.items():
        replace_text(folder / f"tables.{suffix}", text)
