"""Which artifacts and checkpoints of a results folder are damaged: all of them are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from irnet_pipe.artifact_files import artifact_file, own_files, own_folders
from irnet_pipe.artifacts.integrity import check_artifact, check_checkpoint
from irnet_pipe.errors import ArtifactError, InputError, NewerArtifactError
from irnet_pipe.recipes import WORK
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.stage_table import STAGES

CHECKPOINT = re.compile(r"checkpoint-\d+\.pth")


def find_damaged(results: Path) -> Iterator[tuple[Path, ArtifactError]]:
    """Read every artifact and checkpoint but links; tells those that are damaged, each with what is wrong.

    Files of a newer version count as whole, since they cannot be judged.

    Raises:
        InputError: a file may not be read.
    """
    checks = list(_checks(results))
    for path, check in Progress(total=len(checks), title=f"reading {results}", unit="files").over(checks):
        _check_readable(path)
        try:
            check()
        except NewerArtifactError:
            continue
        except ArtifactError as error:
            if path.exists():  # else it was removed meanwhile
                yield path, error


def _checks(results: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    for stage in STAGES:
        for path in own_files(results / stage):
            if artifact_file(path):
                yield path, partial(check_artifact, path, stage=stage)
        for folder in own_folders(results / WORK / stage):
            for path in own_files(folder):
                if CHECKPOINT.fullmatch(path.name):
                    yield path, partial(check_checkpoint, path, recipe=folder.name)


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        pass  # removed meanwhile
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file's permissions") from None
