"""Errors that a user can mend, and the exit codes of the command line.

Everything that is wrong with a config, a file or a label is an `InputError`: one line (or one line per
problem) that names the file, the value, the bound and the remedy. The command line prints it without a
traceback and exits with `EXIT_INPUT`.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

EXIT_INPUT = 2
"""Exit code for bad input."""

EXIT_UNFINISHED = 1
"""Exit code of what looks at results, where they are not all there and whole."""

EXIT_FAILED = 1
"""Exit code of what fails for a reason that lies elsewhere."""

EXIT_INTERRUPTED = 75
"""Exit code of a trainer that was told to stop and saved its state (sysexits: temporary failure)."""

EXIT_STOPPED = 130
"""Exit code of what Ctrl-C has stopped (shells: 128 and the number of the signal)."""

STOPPED = "stopped: what is finished is kept; the same command again does the rest"
"""What is said then."""

EXIT_CODES = {
    0: "done",
    EXIT_UNFINISHED: "not all is well, as the description of the verb says; with a traceback: a defect of irnet_pipe",
    EXIT_INPUT: "bad input, or a fault of the machine such as a full disk: each problem is a line on stderr that names "
    "the remedy",
    EXIT_INTERRUPTED: "a training was told to stop (Ctrl-C, SIGTERM, SIGUSR1), and has saved its state",
    EXIT_STOPPED: "stopped by Ctrl-C",
}
"""Exit codes of the command line, and what they mean."""

REMEDIES = {
    errno.ENOSPC: "free disk space, then run again; what is finished is kept",
    errno.EDQUOT: "free space within your quota, then run again; what is finished is kept",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or use another file system",
    errno.EROFS: "mount the file system for writing, or set runtime.results and runtime.outputs to another folder",
    errno.ENOTDIR: "a file lies where a folder is needed: move it, or set runtime.results and runtime.outputs anew",
    errno.ENAMETOOLONG: "shorten the names of photos and of their folders, or of run and runtime.results",
    errno.EACCES: "check owner and permissions of the file and its folder",
    errno.EPERM: "check owner and permissions of the file and its folder",
    errno.EIO: "check the disk (dmesg) or the network file system, then run again",
    errno.ESTALE: "check the network file system, then run again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs, or raise the machine's limit of open files (sysctl fs.file-max)",
    errno.ENOMEM: "give the job more memory, or run fewer at once",
}
"""Faults of the machine: no file is to blame, and what a person can do about them."""


class InputError(Exception):
    """Input that the user can mend. `problems` holds one message per problem, all of them found at once."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


@contextmanager
def told_of(subject: str) -> Iterator[None]:
    """Begin each problem that is found within by what it is about, such as a key of the config."""
    try:
        yield
    except InputError as error:
        raise type(error)([f"{subject}: {problem}" for problem in error.problems]) from error


class ArtifactError(InputError):
    """An artifact that cannot be used: damaged, of another kind, or of a newer version."""


class NewerArtifactError(ArtifactError):
    """An artifact that is whole, but of a version that only a newer irnet_pipe reads."""


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """A trainer was told to stop and has saved its state; the next attempt goes on from there."""


class PeerLost(Exception):  # noqa: N818 (the error is another rank's)
    """Another rank of a distributed training has gone: whatever went wrong there is what is to be told."""


def is_machine_fault(error: BaseException) -> bool:
    """Whether an error says something of the machine, such as a full disk, and nothing of the file at hand."""
    return isinstance(error, OSError) and error.errno in REMEDIES


@contextmanager
def machine_faults_told() -> Iterator[None]:
    """Within the block, faults of the machine become `InputError`s with the remedy; other errors pass."""
    try:
        yield
    except MemoryError as error:
        what = f" ({error})" if str(error) else ""
        raise InputError(f"memory ran out{what}; {REMEDIES[errno.ENOMEM]}") from error
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        raise InputError(f"{where}{os.strerror(error.errno)}; {REMEDIES[error.errno]}") from error
