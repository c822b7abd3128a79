"""What verbs write to standard output: lines for people, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any


def print_lines(lines: Iterable[str]) -> None:
    """Write lines, all of them known before the first is written.

    What removes files goes on when nobody reads, as with `| head`.

    Raises:
        OSError: they cannot be written, as to a full disk.
    """
    text = "".join(f"{line}\n" for line in lines)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # else Python would try again as it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            error.filename = "standard output"
            raise


def print_json(value: Any) -> None:
    """Write a JSON value, indented."""
    print_lines([json.dumps(value, indent=1, ensure_ascii=False, default=str)])


def take_any_character() -> None:
    """Escape what standard output has no character for, in place of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def quiet(*, shown: bool) -> Iterator[None]:
    """Within the block no progress is shown, and standard output where it is what was asked for."""
    from irnet_pipe.runtime.progress import silenced

    with silenced(), redirect_stdout(sys.stdout if shown else io.StringIO()):
        yield
