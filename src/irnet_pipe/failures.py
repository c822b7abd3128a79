"""What the end of a failed run says: each job that gave no artifact, with the end of its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from irnet_pipe.errors import STOPPED
from irnet_pipe.recipes import LOGS, Record
from irnet_pipe.runtime.attempts import read_attempts

JOBS = 10
"""Told at most."""
LINES = 5
"""Of the end of a log."""
KILLED = (
    "killed from outside, most likely because memory ran out (else by a time limit or kill -9); give it more "
    "(set-resources: {stage}: mem_mb in the profile) or run fewer jobs at once (--cores), then run snakemake again"
)


def failures(records: Iterable[Record], results: Path, *, since: datetime) -> Iterator[str]:
    """Lines for people about the jobs of a run that gave no artifact.

    Args:
        records: of the artifacts of the run.
        results: folder of the artifacts.
        since: start of the run; what failed before is not told.
    """
    outcomes = [(record, _outcome(record, results, since)) for record in records]
    failed = [(record, outcome) for record, outcome in outcomes if outcome != "ok"]
    for record, outcome in failed[:JOBS]:
        log = results / LOGS / record.stage / f"{record.unit}.{record.recipe}.log"
        yield f"{record.label}: {outcome}; end of {log}:"
        yield from (f"    {line}" for line in _end(log))
        if outcome == "killed":
            yield f"    {KILLED.format(stage=record.stage)}"
    if len(failed) > JOBS:
        yield f"and {len(failed) - JOBS} more jobs"
    if any(outcome == "interrupted" for _, outcome in failed):
        yield STOPPED


def _outcome(record: Record, results: Path, since: datetime) -> str:
    """Of the last attempt in this run; ok where there is an artifact or was no attempt."""
    if (results / record.path).exists():
        return "ok"
    attempts = [attempt for attempt in read_attempts(results, record) if attempt.start >= since]
    return attempts[-1].outcome if attempts else "ok"


def _end(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
    except OSError as error:
        return [f"cannot be read ({error.strerror})"]
