"""What goes on in a job: one JSON object a line, appended to a file beside its log."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from irnet_pipe.recipes import EVENTS, Record


def events_path(results: Path, record: Record) -> Path:
    """Where the events of all attempts at an artifact lie."""
    return results / EVENTS / record.stage / f"{record.unit}.{record.recipe}.jsonl"


class Events:
    """The events of one attempt at an artifact.

    Every line has `time` (ISO 8601, UTC), `attempt` (tells attempts at the same artifact apart) and `event`. What
    cannot be written is told once and lost: no job fails for it.

    Args:
        path: file that is appended to; None: events go nowhere.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.attempt = secrets.token_hex(4)

    def write(self, event: str, **values: Any) -> None:
        """Append a line; it is with the system when this returns.

        Args:
            event: its name.
            values: JSON values, NaN excluded.
        """
        if self.path is None:
            return
        head = {"time": datetime.now(UTC).isoformat(), "attempt": self.attempt, "event": event}
        try:
            line = json.dumps(head | values, ensure_ascii=False, allow_nan=False) + "\n"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"warning: {self.path}: cannot be written ({error}); the job goes on without\n")
            self.path = None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file, in the order of writing; what is no event, such as half a line, is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and {"time", "attempt", "event"} <= event.keys():
            yield event
