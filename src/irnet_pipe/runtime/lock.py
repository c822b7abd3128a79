"""Locks: of an artifact, so that no two jobs make it at once; of a results folder, to remove files from it."""

from __future__ import annotations

import errno
import fcntl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from irnet_pipe.errors import InputError
from irnet_pipe.recipes import WORK

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


@contextmanager
def idle(results: Path) -> Iterator[None]:
    """Hold the locks of all work folders, so that no job of a trainer runs within the block.

    Raises:
        InputError: a job or a snakemake run works on the results folder.
    """
    for folder in (Path.cwd(), results.resolve().parent):
        locks = folder / ".snakemake" / "locks"
        if locks.is_dir() and any(locks.iterdir()):
            raise InputError(
                f"{locks}: snakemake runs in this folder, nothing is removed; wait until it ends (if it was "
                "killed, `snakemake --unlock` removes the lock)"
            )
    with ExitStack() as stack:
        for path in sorted((results / WORK).glob("*/*/lock")):
            try:
                fcntl.flock(stack.enter_context(path.open("a")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{path}: a job works on this artifact, nothing is removed; wait until it ends"
                ) from None
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be locked ({error.strerror}), nothing is removed; make sure that no "
                    "workflow runs, and delete this file"
                ) from None
        yield
