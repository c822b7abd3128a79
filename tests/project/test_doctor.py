"""`doctor`: each thing that may be wrong is told with its remedy."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision

from irnet_pipe.bundled_files import PROFILES
from irnet_pipe.cli.main import main
from irnet_pipe.project import doctor

GIB = 1 << 30


@pytest.mark.parametrize(
    ("version", "well"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)]
)
def test_python(version: tuple[int, int], well: bool) -> None:
    finding = doctor.python(version)
    assert (finding.remedy is None) == well
    assert str(finding).startswith("ok    Python: 3.1" if well else "wrong Python: 3.1")
    assert well or "install irnet-pipe under Python 3.11 to 3.13" in str(finding)


def test_the_versions_are_those_of_the_package() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    low, high = doctor.PYTHONS
    assert f'requires-python = ">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"' in text
    low = doctor.SNAKEMAKES[0]
    assert f'"snakemake>={low[0]}.{low[1]},<{doctor.SNAKEMAKES[1][0]}"' in text


def test_torchvision_of_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.torch_parts().remedy is None

    def lacks(*_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", lacks)
    assert "do not match; pip install --upgrade torch torchvision, together" in str(doctor.torch_parts())


@pytest.mark.parametrize(
    ("built", "driver", "environment", "told"),
    [
        (None, "12.4", {}, "it is built without CUDA; install a build with CUDA"),
        ("13.0", "12.4", {}, "built for CUDA 13.0, the driver serves 12.4; update the driver"),
        ("12.10", "12.9", {}, "built for CUDA 12.10, the driver serves 12.9; update the driver"),
        ("12.4", "12.4", {}, "check that nvidia-smi ends without error"),
        ("12.4", None, {"CUDA_VISIBLE_DEVICES": "0"}, "check that nvidia-smi ends without error"),
        ("12.4", "12.4", {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES is ''; unset it"),
        ("12.4", "12.4", {"CUDA_VISIBLE_DEVICES": "-1"}, "CUDA_VISIBLE_DEVICES is '-1'; unset it"),
    ],
)
def test_gpus_that_torch_does_not_see(
    built: str | None, driver: str | None, environment: dict[str, str], told: str
) -> None:
    finding = doctor.cuda_unseen(2, built=built, driver=driver, environment=environment)
    assert str(finding).startswith("wrong CUDA: 2 GPUs, but torch sees none")
    assert told in str(finding)


def test_a_machine_without_gpu_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor.cuda(0).remedy is None
    assert doctor.cuda(1).remedy is not None


def test_disk(tmp_path: Path) -> None:
    assert doctor.disk(tmp_path, doctor.LEAST_DISK).remedy is None
    told = str(doctor.disk(tmp_path, doctor.LEAST_DISK - GIB))
    assert f"wrong disk: 4.0 GiB free below {tmp_path}; free 1.0 GiB or more" in told


def test_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "not" / "there"
    finding = doctor.locks("file locks", missing, "set another")
    assert str(finding) == f"ok    file locks: work in {tmp_path}"
    assert not list(tmp_path.iterdir())

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    told = str(doctor.locks("file locks", tmp_path, "set another"))
    assert told == f"wrong file locks: {tmp_path}: {os.strerror(errno.ENOLCK)}; set another"


@pytest.mark.parametrize(
    ("version", "command", "told"),
    [
        ("9.3.0", "/env/bin/snakemake", None),
        ("9.27.1", None, None),
        (None, None, "is not installed; pip install 'snakemake>=9.3,<10'"),
        ("9.2.1", None, "9.2.1; pip install"),
        ("10.0", None, "10.0; pip install"),
        ("9.27.1", "/usr/bin/snakemake", "the shell finds /usr/bin/snakemake, of another Python; activate"),
    ],
)
def test_snakemake(version: str | None, command: str | None, told: str | None) -> None:
    finding = doctor.snakemake(version, command, "/env/bin/python")
    assert (finding.remedy is None) == (told is None)
    assert (told or "ok    Snakemake: 9.") in str(finding)


def test_profile(tmp_path: Path) -> None:
    assert "not a folder to run in" in str(doctor.profile(tmp_path))
    (tmp_path / "Snakefile").touch()
    finding = doctor.profile(tmp_path)
    assert finding.remedy == f"cp -r {PROFILES} ."
    shutil.copytree(PROFILES, tmp_path / "profiles")
    assert doctor.profile(tmp_path).remedy is None


@pytest.mark.parametrize(
    ("answers", "plugins", "told"),
    [
        ({}, set(), "ok    scheduler: none: jobs run on this machine; executor plug-ins: none"),
        ({"slurm": True}, {"slurm"}, "ok    scheduler: slurm; executor plug-ins: slurm"),
        (
            {"slurm": True},
            set(),
            "note  scheduler: slurm; executor plug-ins: none; pip install snakemake-executor-plugin-slurm to submit",
        ),
        (
            {"slurm": False},
            {"slurm"},
            "note  scheduler: slurm does not answer; to submit jobs, see what `sinfo -h` says",
        ),
    ],
)
def test_scheduler(answers: dict[str, bool], plugins: set[str], told: str) -> None:
    assert told in str(doctor.scheduler(answers, plugins))


def test_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * GIB))
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "list_gpus", list)
    monkeypatch.setattr(doctor, "memory", lambda: doctor.Finding("memory", "much"))
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert all(line.startswith("ok    ") for line in output.splitlines()[:-1]), output
    for part in ("Python", "torch", "CUDA", "memory", "disk", "file locks", "Snakemake", "scheduler"):
        assert f"ok    {part}: " in output
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB))
    assert main(["doctor"]) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == "1 to mend"
    assert "wrong disk: 1.0 GiB free" in output
    assert main(["doctor", "--json"]) == 1
    (wrong,) = [each for each in json.loads(capsys.readouterr().out) if each["wrong"]]
    assert wrong["part"] == "disk" and wrong["remedy"].startswith("free 4.0 GiB")


def test_a_package_that_does_not_load_is_a_finding() -> None:
    def fails() -> doctor.Finding:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    assert "wrong torch: does not load (libcudart.so.12: cannot open" in str(doctor._guarded("torch", fails))
