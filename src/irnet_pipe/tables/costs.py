"""What each row of the tables has cost: all that its scores are made of, whenever it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.recipes import Record, ancestors
from irnet_pipe.runtime.attempts import Attempt, read_attempts
from irnet_pipe.tables.cells import Cell, FilledTable


@dataclass(frozen=True)
class RowCost:
    """The cost of a row over seeds.

    Attributes:
        artifacts: it and all above, of one seed.
        unknown: of these, those of which no time is known.
        seconds: wall time of all attempts, failed ones included; sum over artifacts.
        peak_memory: of the largest job, bytes.
        peak_device_memory: likewise, on a CUDA device.
        n_bytes: of the files that are there.
    """

    artifacts: Cell
    unknown: Cell
    seconds: Cell
    peak_memory: Cell
    peak_device_memory: Cell
    n_bytes: Cell


def row_costs(
    publication: Record, results: Path, tables: Iterable[FilledTable]
) -> tuple[dict[str, RowCost], RowCost]:
    """Name of a row → its cost, what it shares with others counted in each; and that of all, each artifact once.

    A seed counts as far as its scores are there.

    Args:
        publication: the record of the tables.
        results: folder of the artifacts.
        tables: filled.
    """
    above = _Above(publication, results)
    recipe_of = {parent.path: parent.recipe for parent in publication.parents}
    rows: dict[str, RowCost] = {}
    together: dict[int, set[str]] = {}
    for filled in (row for table in tables for row in table.rows):
        made_of = {seed: above.of(recipe_of[filled.scores[seed]]) for seed in sorted(filled.scored)}
        for seed, recipes in made_of.items():
            together.setdefault(seed, set()).update(recipes)
        rows[filled.row.name] = above.cost(made_of)
    return rows, above.cost(together)


class _Above:
    """All artifacts above a publication, each record read once."""

    def __init__(self, publication: Record, results: Path) -> None:
        self.results = results
        self.records = {record.recipe: record for record in ancestors(publication, results)}
        self.attempts: dict[str, list[Attempt]] = {}

    def of(self, recipe: str) -> set[str]:
        """Recipes of an artifact and of all that it is made of."""
        found: set[str] = set()
        todo = [recipe]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += [parent.recipe for parent in self.records[one].parents]
        return found

    def attempts_at(self, recipe: str) -> list[Attempt]:
        if recipe not in self.attempts:
            self.attempts[recipe] = read_attempts(self.results, self.records[recipe])
        return self.attempts[recipe]

    def size(self, recipe: str) -> int:
        path = self.results / self.records[recipe].path
        return path.stat().st_size if path.is_file() else 0

    def cost(self, made_of: Mapping[int, set[str]]) -> RowCost:
        """Seed → recipes, summed up."""
        attempts = {
            seed: [attempt for recipe in sorted(recipes) for attempt in self.attempts_at(recipe)]
            for seed, recipes in made_of.items()
        }
        return RowCost(
            artifacts=Cell({seed: len(recipes) for seed, recipes in made_of.items()}),
            unknown=Cell(
                {
                    seed: sum(not self.attempts_at(recipe) for recipe in recipes)
                    for seed, recipes in made_of.items()
                }
            ),
            seconds=Cell({seed: sum(a.seconds for a in of) for seed, of in attempts.items() if of}),
            peak_memory=_peaks(attempts, lambda attempt: attempt.peak_memory),
            peak_device_memory=_peaks(attempts, lambda attempt: attempt.peak_device_memory),
            n_bytes=Cell({seed: sum(map(self.size, recipes)) for seed, recipes in made_of.items()}),
        )


def _peaks(attempts: Mapping[int, list[Attempt]], peak: Callable[[Attempt], int | None]) -> Cell:
    known = {seed: [n for a in of if (n := peak(a)) is not None] for seed, of in attempts.items()}
    return Cell({seed: max(peaks) for seed, peaks in known.items() if peaks})
