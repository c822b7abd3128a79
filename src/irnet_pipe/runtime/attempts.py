"""Attempts at artifacts: each is written into the events as it starts and ends, and read for costs and failures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from irnet_pipe.errors import Interrupted
from irnet_pipe.recipes import FACTS, Record
from irnet_pipe.runtime.events import Events, events_path, read_events
from irnet_pipe.runtime.facts import facts_of_end, facts_of_start
from irnet_pipe.text_files import replace_text


def facts_path(results: Path, record: Record) -> Path:
    """Where the facts of the last attempt that has ended lie."""
    return results / FACTS / record.stage / f"{record.unit}.{record.recipe}.json"


@contextmanager
def attempt(record: Record, results: Path) -> Iterator[Events]:
    """Within the block, an artifact is being made: start, end, outcome and facts are written.

    Args:
        record: of the artifact.
        results: folder of the artifacts.

    Yields:
        The events of the attempt.
    """
    events = Events(events_path(results, record))
    start, started = time.monotonic(), facts_of_start()
    times = {"start": datetime.now(UTC).isoformat()}
    events.write("started", **started)
    ended: dict[str, Any] = {"outcome": "ok", "error": None}
    try:
        yield events
    except BaseException as error:
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        ended = {"outcome": "interrupted" if stopped else "failed", "error": str(error) or repr(error)}
        raise
    finally:
        ended |= {"wall_seconds": round(time.monotonic() - start, 3), **facts_of_end()}
        events.write("ended", **ended)
        times["end"] = datetime.now(UTC).isoformat()
        _write_facts(facts_path(results, record), record, times | started | ended)


def _write_facts(path: Path, record: Record, facts: dict[str, Any]) -> None:
    head = {"recipe": record.recipe, "stage": record.stage, "unit": record.unit, "label": record.label}
    try:
        replace_text(path, json.dumps(head | facts, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        sys.stderr.write(f"warning: {path}: cannot be written ({error})\n")


@dataclass(frozen=True)
class Attempt:
    """One attempt at an artifact.

    Attributes:
        start: when it began to work; time that it waited for a device lies before.
        seconds: that it worked.
        outcome: ok, failed, interrupted, or killed: its end is not known, the last event counts.
        cpu_seconds: user and system; None as far as not known, like what follows.
        peak_memory: bytes.
        peak_device_memory: bytes.
        device: its name.
        host: name of the machine.
    """

    start: datetime
    seconds: float
    outcome: str
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    peak_device_memory: int | None = None
    device: str | None = None
    host: str | None = None


def read_attempts(results: Path, record: Record) -> list[Attempt]:
    """All attempts at an artifact that have left a readable trace, by their start."""
    return [attempt for attempt, _ in attempts_with_progress(results, record)]


def attempts_with_progress(results: Path, record: Record) -> list[tuple[Attempt, list[dict[str, Any]]]]:
    """The same, each with its events `progress`."""
    by_attempt: dict[str, list[dict[str, Any]]] = {}
    for event in read_events(events_path(results, record)):
        by_attempt.setdefault(event["attempt"], []).append(event)
    attempts = []
    for events in by_attempt.values():
        # What a disk has damaged is no reason to fail.
        with suppress(KeyError, TypeError, ValueError):
            progress = [event for event in events if event["event"] == "progress"]
            attempts.append((_attempt(events), progress))
    return sorted(attempts, key=lambda attempt: attempt[0].start)


def _attempt(events: list[dict[str, Any]]) -> Attempt:
    named = {event["event"]: event for event in events}
    working = datetime.fromisoformat(named.get("leased", events[0])["time"])
    host, ended = events[0]["host"], named.get("ended")
    if ended is None:
        last = datetime.fromisoformat(events[-1]["time"])
        return Attempt(working, max(0.0, (last - working).total_seconds()), "killed", host=host)
    waited = named["leased"]["waited_seconds"] if "leased" in named else 0.0
    return Attempt(
        working,
        round(ended["wall_seconds"] - waited, 3),
        ended["outcome"],
        cpu_seconds=round(ended["user_seconds"] + ended["system_seconds"], 3),
        peak_memory=ended["peak_memory"],
        peak_device_memory=ended["peak_device_memory"],
        device=ended["device"],
        host=host,
    )
