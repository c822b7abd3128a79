"""Events of attempts that never were."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path

from irnet_pipe.recipes import Record
from irnet_pipe.runtime.events import events_path

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def attempt(
    results: Path,
    record: Record,
    *progress: tuple[float, int, float],
    name: str = "1",
    seconds: float = 60,
    cpu: float = 90,
    outcome: str = "ok",
    device: str = "cpu",
    host: str | None = None,
) -> None:
    """Append the events of an attempt.

    Args:
        results: folder of the artifacts.
        record: of the artifact.
        progress: seconds since the start, images done, processor seconds.
        name: of the attempt, a number: the hour of its start.
        seconds: that it took.
        cpu: processor seconds likewise.
        outcome: how it ended.
        device: that it says.
        host: that it says; by default this machine.
    """
    start = BEGIN + timedelta(hours=int(name))
    ended = {"wall_seconds": seconds, "user_seconds": cpu, "system_seconds": 0, "outcome": outcome}
    ended |= {"peak_memory": 10**9, "peak_device_memory": None, "device": device}
    events: list[tuple[float, str, dict]] = [(0.0, "started", {"host": host or platform.node()})]
    events += [(at, "progress", {"done": done, "cpu_seconds": used}) for at, done, used in progress]
    events.append((seconds, "ended", ended))
    path = events_path(results, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for at, event, values in events:
            time = (start + timedelta(seconds=at)).isoformat()
            file.write(json.dumps({"time": time, "attempt": name, "event": event} | values) + "\n")
