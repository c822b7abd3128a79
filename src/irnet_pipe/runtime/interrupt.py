"""Signals that tell a trainer to stop: time limits and pre-emption on clusters, Ctrl-C at a terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Whether a signal has come; `signal` is its name, or None."""

    signal: str | None = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number).name


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block, `SIGNALS` are only noted: the block looks at the request when it is ready to stop."""
    request = StopRequest()
    before = {number: signal.signal(number, request._receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shield_children() -> Iterator[None]:
    """Processes started within the block never see `SIGNALS`.

    A signal to the whole process group would kill the processes that load photos, and with them the step that
    the trainer is to finish.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # the process that tracks the children's semaphores, whose start unblocks signals
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
