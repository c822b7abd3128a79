"""Small text files, written so that a reader sees the whole file or none. Light: no h5py, no torch."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file in UTF-8 under a temporary name, then rename it; its folder is made where it is missing.

    Nothing is flushed to the disk, which costs milliseconds a file: what is lost in a power cut is written anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # two nodes of a cluster may give their jobs the same process id
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
