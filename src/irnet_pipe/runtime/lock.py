"""A lock that keeps two jobs from making the same artifact at once."""

from __future__ import annotations

import errno
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without locks answer."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; waits while another process holds it.

    The kernel frees the lock of a process that dies, however it dies. On a file system without locks the block
    is entered all the same, with a warning: within one working folder Snakemake's own lock keeps twins away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{folder}: another process works on this artifact; waiting until it ends\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            sys.stderr.write(
                f"{folder}: the file system has no locks ({error.strerror}); going on without. Start no second "
                "run of this config at the same time, or set runtime.results to a file system with locks\n"
            )
        yield
