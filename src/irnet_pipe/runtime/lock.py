"""A lock that keeps two jobs from making the same artifact at once."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; waits while another process holds it.

    The kernel frees the lock of a process that dies, however it dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{folder}: another process works on this artifact; waiting until it ends\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
