"""Errors that a user can mend, and the exit codes of the command line.

Everything that is wrong with a config, a file or a label is an `InputError`: one line (or one line per
problem) that names the file, the value, the bound and the remedy. The command line prints it without a
traceback and exits with `EXIT_INPUT`.
"""

from collections.abc import Iterable

EXIT_INPUT = 2
"""Exit code for bad input."""

EXIT_UNFINISHED = 1
"""Exit code of what looks at results, where they are not all there and whole."""

EXIT_INTERRUPTED = 75
"""Exit code of a trainer that was told to stop and saved its state (sysexits: temporary failure)."""


class InputError(Exception):
    """Input that the user can mend. `problems` holds one message per problem, all of them found at once."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class ArtifactError(InputError):
    """An artifact that cannot be used: damaged, of another kind, or of a newer version."""


class NewerArtifactError(ArtifactError):
    """An artifact that is whole, but of a version that only a newer irnet_pipe reads."""


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """A trainer was told to stop and has saved its state; the next attempt goes on from there."""
