"""Text files: read as UTF-8 up to a bound, written so that a reader sees the whole file or none. Light: no h5py."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from irnet_pipe.errors import InputError

MOST_BYTES = 1_500_000_000
"""Of a file that is read as a whole; parsed, it takes some ten times as much memory."""
MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def read_bounded(path: Path) -> bytes:
    """Content of a file.

    Raises:
        InputError: it cannot be read, or is larger than `MOST_BYTES`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                raise InputError(
                    f"{path}: {size / 1e9:.1f} GB, {MOST_BYTES / 1e9:.1f} GB at most are read; split the file, or "
                    "leave out of it what is not needed"
                )
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def read_text(path: Path) -> str:
    """Content of a UTF-8 file, with or without byte order mark.

    Raises:
        InputError: it cannot be read, is too large, or is no UTF-8.
    """
    data = read_bounded(path)
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data:  # ASCII in UTF-16 is valid UTF-8
        encoding = f"holds NUL at byte {data.index(0)}, as UTF-16 does"
    try:
        if encoding is None:
            return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        encoding = f"byte {error.start}"
    raise InputError(f"{path}: not UTF-8 ({encoding}); save the file as UTF-8")


def replace_text(path: Path, text: str) -> None:
    """Write a file in UTF-8 under a temporary name, then rename it; its folder is made where it is missing.

    Nothing is flushed to the disk, which costs milliseconds a file: what is lost in a power cut is written anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # two nodes of a cluster may give their jobs the same process id
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = str(path)  # the temporary name says nothing to people
        raise
