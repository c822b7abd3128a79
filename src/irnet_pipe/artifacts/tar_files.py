"""Tars of masks: read so that one that was cut is noticed."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irnet_pipe.errors import ArtifactError

END_BLOCKS = 2 * tarfile.BLOCKSIZE
LONGEST_END = END_BLOCKS + tarfile.RECORDSIZE - tarfile.BLOCKSIZE
"""The end is filled up to a whole record."""


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar whose end is there: Python takes one that was cut between two members for a shorter one.

    Raises:
        ArtifactError: missing, cut, or damaged, on opening or within the block.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            archive.getmembers()
            _check_end(path, archive.offset)
            yield archive
    except FileNotFoundError:
        raise ArtifactError(f"{path}: artifact is missing; run snakemake, which makes it anew") from None
    except (tarfile.TarError, EOFError) as error:
        raise ArtifactError(f"{path}: damaged ({error}); delete it and run snakemake again") from None


def _check_end(path: Path, offset: int) -> None:
    """Behind the last member that could be read, there is nothing but zeros, two blocks of them at least."""
    with path.open("rb") as file:
        file.seek(offset - offset % tarfile.BLOCKSIZE)
        end = file.read(LONGEST_END + 1)
    if len(end) < END_BLOCKS or len(end) > LONGEST_END or end.strip(b"\0"):
        raise tarfile.ReadError(f"no end of archive at byte {offset}")
