"""Progress with rate and ETA: a bar that is redrawn on a terminal, lines now and then in a log file."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from irnet_pipe.runtime.events import Events

T = TypeVar("T")
BAR = 24

_silent = False


@contextmanager
def silenced() -> Iterator[None]:
    """Within the block no progress of this process is shown; events are written all the same."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


def duration(seconds: float) -> str:
    """Seconds for people: 42s, 3m05s, 2h07m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Progress:
    """Tells how far something is.

    Args:
        total: number of items.
        title: what is being done.
        unit: what is counted.
        every: seconds between lines in a log file, and between events, of which the first comes with the first item;
            a terminal is redrawn ten times a second.
        stream: where to write.
        events: also told.

    The rate is that of what came after the first update.
    """

    def __init__(
        self,
        *,
        total: int,
        title: str,
        unit: str = "",
        every: float = 15.0,
        stream: TextIO | None = None,
        events: Events | None = None,
    ) -> None:
        self.total, self.title, self.unit = total, title, unit
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.events = events or Events()
        self.every_event, self.every = every, 0.1 if self.terminal else every
        self.start = self.last = time.monotonic()
        self.last_event = -math.inf  # the first is told: what comes before it does not grow with the items
        self.first = 0
        self.warm = False

    def resume_at(self, done: int) -> None:
        """Count the rate from here on: `done` items were finished by an earlier attempt."""
        self.first = done

    def update(self, done: int, note: str = "", **metrics: float) -> None:
        """Tell that `done` items are finished; writes only when it is time to.

        Args:
            done: number of items.
            note: end of the line.
            metrics: go into the event, by name.
        """
        now = time.monotonic()
        seconds = max(now - self.start, 1e-9)
        rate = (done - self.first) / seconds
        if not self.warm and done > self.first:
            # the first may take many times as long as others, for the kernels that it compiles
            self.warm, self.start, self.first = True, now, done
        if now - self.last_event >= self.every_event or done >= self.total:
            self.last_event = now
            cpu = {"cpu_seconds": round(time.process_time(), 3)}
            self.events.write("progress", done=done, total=self.total, unit=self.unit, **cpu, **metrics)
        if _silent or (now - self.last < self.every and done < self.total):
            return
        self.last = now
        eta = duration((self.total - done) / rate) if rate > 0 else "?"
        share = done / self.total if self.total else 1.0
        text = f"{self.title}: {done}/{self.total} {self.unit} · {rate:.2f}/s · ETA {eta}"
        if note:
            text += f" · {note}"
        if self.terminal:
            filled = int(BAR * share)
            end = "\n" if done >= self.total else ""
            self.stream.write(f"\r\x1b[K[{'█' * filled}{'·' * (BAR - filled)}] {text}{end}")
        else:
            self.stream.write(text + "\n")
        self.stream.flush()

    def say(self, text: str) -> None:
        """Write a line of its own; a bar is drawn again below it."""
        self.stream.write(("\r\x1b[K" if self.terminal else "") + text + "\n")
        self.stream.flush()

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate over items; each counts as finished when the next one is asked for."""
        for done, item in enumerate(items, 1):
            yield item
            self.update(done)
