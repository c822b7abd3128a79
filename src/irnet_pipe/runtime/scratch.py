"""Node-local scratch: a shard's inputs are copied in and its artifact out, where a shared file system is slow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.errors import ArtifactError, InputError
from irnet_pipe.runtime.job import Job


@contextmanager
def in_scratch(job: Job, folder: str | None) -> Iterator[Job]:
    """Within the block, a job reads copies of its inputs and writes a file that is copied to its place at the end.

    Jobs of all images, trainers among them, are left as they are: they would copy a whole stage.

    Args:
        job: as it would run without.
        folder: on the node, with environment variables such as $TMPDIR; none: the job is left as it is.

    Yields:
        The job that is to be run.

    Raises:
        InputError: there is no such folder.
    """
    if folder is None or job.record.unit == "all":
        yield job
        return
    parent = Path(os.path.expandvars(folder))
    if not parent.is_dir():
        raise InputError(
            f"runtime.scratch: {folder}: no such folder on {os.uname().nodename} ({parent}); set it to a folder of "
            "the nodes, or to none"
        )
    with TemporaryDirectory(prefix="irnet_pipe-", dir=parent) as name:
        inputs = Path(name)
        for artifact in job.record.parents:
            _copy_in(job.results / artifact.path, inputs / artifact.path)
        local = replace(job, inputs=inputs, output=inputs / job.record.path)
        with _told_of(inputs, job.results):
            yield local
        with atomic_path(job.output) as temporary:
            shutil.copyfile(local.output, temporary)


def _copy_in(source: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.exists():  # the stage tells what is missing
        shutil.copyfile(source, copy)


@contextmanager
def _told_of(copies: Path, results: Path) -> Iterator[None]:
    """Within the block, errors about copies name the artifacts that these were made of."""
    try:
        yield
    except ArtifactError as error:
        raise type(error)([text.replace(str(copies), str(results)) for text in error.problems]) from error
