"""Faults of the machine: full disks, read-only folders, limits. One line with the remedy, and nothing is lost."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, atomic_path, write_artifact
from irnet_pipe.artifacts.json_files import read_json, write_json
from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.cli import stages
from irnet_pipe.cli.main import main
from irnet_pipe.config import parse_config
from irnet_pipe.errors import REMEDIES, InputError, machine_faults_told
from irnet_pipe.export.voc import write_tar
from irnet_pipe.recipes import Record
from irnet_pipe.training.checkpoint import Checkpoints
from irnet_pipe.workflow import prepare

LIMIT = 400_000
RECORD = Record("0" * 16, "infer_cam", 1, "all", "", "x.h5", {}, (), (), {})
SCORES = Record("0" * 16, "evaluate_masks", 1, "all", "", "x.json", {}, (), (), {})


def write_h5(path: Path, scale: int) -> None:
    with write_artifact(path, RECORD) as writer:
        for number in range(10 * scale):
            noise = np.random.default_rng(number).random((3, 20, 20), dtype=np.float32)
            writer.add(f"{number:04d}", ImageSize(40, 40, 40, 40), {"map": noise})


def write_pth(path: Path, scale: int) -> None:
    state = {"a": torch.zeros(1000 * scale), "b": torch.zeros(10_000 * scale)}
    write_weights(path, header={"kind": "cam"}, state_dict=state, history={})


def write_checkpoint(path: Path, scale: int) -> None:
    Checkpoints(path.parent, recipe="a" * 16).save({"model": torch.zeros(10_000 * scale)}, step=1)


def write_scores(path: Path, scale: int) -> None:
    write_json(path, SCORES, {"text": "x" * 10_000 * scale})


def write_masks(path: Path, scale: int) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        write_tar(stream, [(f"{i}.png", b"x" * 10_000) for i in range(scale)])


Writer = Callable[[Path, int], None]
WRITERS = [write_h5, write_pth, write_checkpoint, write_scores, write_masks]


def mount(folder: Path, *options: str) -> None:
    """Mount, or skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "small disk"
    mount(folder, "-t", "tmpfs", "-o", f"size={LIMIT}", "tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_files(tmp_path) -> Iterator[Path]:
    """A folder in which files may be as large as the small disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def read_only(folder: Path) -> Iterator[Path]:
    """Root writes where permissions forbid it, but not to what is mounted for reading."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mount(folder, "--bind", str(folder))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def refusal(write: Writer, path: Path) -> str:
    with pytest.raises(InputError) as caught, machine_faults_told():
        write(path, 100)
    (message,) = caught.value.problems
    return message


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("old", [True, False])
def test_full_disk(small_disk, write, old):
    path = small_disk / "a" / "x"
    if old:
        write(path, 1)
    before = {file: file.read_bytes() for file in path.parent.glob("*")}
    message = refusal(write, path)
    assert message.startswith(str(path.parent))
    assert message.endswith(": No space left on device; " + REMEDIES[errno.ENOSPC])
    assert {file: file.read_bytes() for file in path.parent.glob("*")} == before
    if not old:
        write(path, 1)  # the disk is free again


@pytest.mark.parametrize("write", [write_pth, write_checkpoint, write_scores, write_masks])
def test_files_that_may_not_grow(small_files, write):
    path = small_files / "a" / "x"
    assert refusal(write, path).endswith(": File too large; " + REMEDIES[errno.EFBIG])
    assert not list(path.parent.iterdir())


def test_process_outlives_a_full_disk_in_silence(small_disk):
    """HDF5 would print tracebacks, and crash at the end of the process."""
    code = """
from pathlib import Path
import numpy as np
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.recipes import Record
record = Record("0" * 16, "infer_cam", 1, "all", "", "x.h5", {}, (), (), {})
try:
    with write_artifact(Path("x.h5"), record) as writer:
        for number in range(1000):
            noise = np.random.default_rng(number).random((3, 20, 20))
            writer.add(f"{number:04d}", ImageSize(20, 20, 20, 20), {"map": noise})
except OSError as error:
    print(error.strerror)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=small_disk, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "No space left on device\n", "")
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("write", WRITERS)
def test_read_only_folder(tmp_path, write):
    path = tmp_path / "a" / "x"
    write(path, 1)
    before = {file: file.read_bytes() for file in path.parent.glob("*")}
    for folder in read_only(path.parent):
        message = refusal(write, path)
        assert str(folder) in message
        assert message.endswith((REMEDIES[errno.EROFS], REMEDIES[errno.EACCES]))
        assert {file: file.read_bytes() for file in folder.glob("*")} == before


def test_results_that_are_complete_may_be_read_only(tiny, tmp_path):
    """Nothing is written where nothing is new; what is new is told."""
    expected = prepare(parse_config(tiny)).plan.targets[0].recipe
    for _ in read_only(tmp_path / "results"):
        assert prepare(parse_config(tiny)).plan.targets[0].recipe == expected
        with pytest.raises(InputError, match=r"results.*set runtime\.results|check owner and permissions"):
            prepare(parse_config(tiny | {"seed": 1}))


def test_index_on_a_full_disk(tiny, small_disk):
    tiny["runtime"]["results"] = str(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (LIMIT - 30_000))
    with pytest.raises(InputError, match="No space left on device; free disk space"):
        prepare(parse_config(tiny))
    (small_disk / "filler").unlink()
    prepare(parse_config(tiny))


def fault(number: int) -> OSError:
    return OSError(number, os.strerror(number), "some file")


@pytest.mark.parametrize("number", REMEDIES)
def test_command_line_tells_the_remedy(monkeypatch, capsys, number):
    def fail(*_: object) -> None:
        raise fault(number)

    monkeypatch.setattr(stages, "_stage", fail)
    assert main(["report", "--recipe", "x", "--output", "y"]) == 2
    assert capsys.readouterr().err == f"error: some file: {os.strerror(number)}; {REMEDIES[number]}\n"


def test_errors_of_the_program_keep_their_traceback():
    with pytest.raises(FileNotFoundError), machine_faults_told():
        raise fault(errno.ENOENT)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, monkeypatch, number):
    """Whoever is told that a file is damaged deletes it."""
    write_h5(tmp_path / "x.h5", 1)
    write_pth(tmp_path / "x.pth", 1)
    write_scores(tmp_path / "x.json", 1)
    write_checkpoint(tmp_path / "x", 1)

    def fail(*_: object, **__: object) -> None:
        raise fault(number)

    for target in ("h5py.File", "torch.load", "pathlib.Path.read_text"):
        monkeypatch.setattr(target, fail)
    for read in (
        lambda: ArtifactReader(tmp_path / "x.h5", kind="cam"),
        lambda: read_weights(tmp_path / "x.pth", kind="cam"),
        lambda: read_json(tmp_path / "x.json", kind="scores"),
        lambda: Checkpoints(tmp_path, recipe="a" * 16).newest(),
    ):
        with pytest.raises(InputError) as caught, machine_faults_told():
            read()
        assert caught.value.problems == [f"some file: {os.strerror(number)}; {REMEDIES[number]}"]
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1
