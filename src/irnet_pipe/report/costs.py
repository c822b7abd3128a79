"""What the artifacts of a run have cost, whenever they were made: a page and a table.

No part of the report itself, whose bytes depend on its recipe alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from irnet_pipe.recipes import Record
from irnet_pipe.report.html import Page, Section, render
from irnet_pipe.report.table import Cell, Table
from irnet_pipe.report.timeline import Bar, Timeline
from irnet_pipe.runtime.attempts import Attempt
from irnet_pipe.runtime.progress import duration

COSTS_PAGE, COSTS_TABLE = "costs.html", "costs.csv"
FIELDS = ("stage", "unit", "recipe", "label", *(field.name for field in fields(Attempt)))
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """An artifact and all attempts at it; none: what it has cost is not known."""

    record: Record
    attempts: Sequence[Attempt]


def costs_csv(costs: Iterable[Cost]) -> str:
    """One row per attempt (seconds, bytes), and one without figures per artifact of unknown cost."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
    writer.writeheader()
    for cost in costs:
        record = cost.record
        head = {"stage": record.stage, "unit": record.unit, "recipe": record.recipe, "label": record.label}
        for attempt in cost.attempts:
            writer.writerow(head | vars(attempt) | {"start": attempt.start.isoformat()})
        if not cost.attempts:
            writer.writerow(head | {"outcome": "unknown"})
    return stream.getvalue()


def costs_page(costs: Sequence[Cost], *, run: str) -> str:
    """Time line and cost per stage as one HTML document.

    Args:
        costs: of every artifact of the run, parents before children.
        run: its name.
    """
    attempts = [attempt for cost in costs for attempt in cost.attempts]
    table = Table(
        COLUMNS,
        list(_rows(costs)),
        note="Wall and CPU seconds are sums over all attempts, failed ones included; peaks are those of the largest "
        "job. What an earlier run has made is here with what it cost then. – is not known.",
    )
    bars = [_bar(cost.record, attempt) for cost in costs for attempt in cost.attempts]
    lead = "A bar is an attempt at an artifact; pale ones ended without it. Dashed lines: nothing ran for a while."
    page = Page(
        title="Time and cost",
        subtitle=f"Of all that the publication of {run} is made of.",
        figures=[
            ("artifacts", str(len(costs))),
            ("wall time, sum", duration(sum(attempt.seconds for attempt in attempts))),
            ("CPU time, sum", duration(sum(attempt.cpu_seconds or 0 for attempt in attempts))),
        ],
        sections=[
            Section("Time line", [Timeline("Jobs over time", _stages(costs), bars)], lead=lead),
            Section("Cost per stage", [table]),
        ],
        links=[("Report", "report.html")],
    )
    return render(page)


COLUMNS = (
    "stage",
    "artifacts",
    "unknown",
    "attempts",
    "wall, s",
    "CPU, s",
    "peak memory, MiB",
    "peak GPU memory, MiB",
)


def _stages(costs: Sequence[Cost]) -> list[str]:
    """Stages in the order of the pipeline: that of their last artifacts."""
    return list(dict.fromkeys(cost.record.stage for cost in reversed(costs)))[::-1]


def _rows(costs: Sequence[Cost]) -> Iterator[list[Cell]]:
    for stage in _stages(costs):
        yield _row(stage, [cost for cost in costs if cost.record.stage == stage])
    yield _row("all", costs)


def _row(name: str, costs: Sequence[Cost]) -> list[Cell]:
    attempts = [attempt for cost in costs for attempt in cost.attempts]
    return [
        name,
        len(costs),
        sum(not cost.attempts for cost in costs),
        len(attempts),
        sum(attempt.seconds for attempt in attempts) if attempts else None,
        _total(attempt.cpu_seconds for attempt in attempts),
        _mebibytes(attempt.peak_memory for attempt in attempts),
        _mebibytes(attempt.peak_device_memory for attempt in attempts),
    ]


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mebibytes(values: Iterable[int | None]) -> float | None:
    largest = max((value for value in values if value is not None), default=None)
    return None if largest is None else largest / MIB


def _bar(record: Record, attempt: Attempt) -> Bar:
    start = attempt.start.timestamp()
    return Bar(
        row=record.stage,
        title=f"{record.label}: {attempt.outcome}, {duration(attempt.seconds)}, {attempt.start:%Y-%m-%d %H:%M} UTC, "
        f"{attempt.host}",
        start=start,
        end=start + attempt.seconds,
        lost=attempt.outcome != "ok",
    )
