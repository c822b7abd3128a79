"""What can be wrong, one fault at a time: the whole message, the exit code, and nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import broken_configs
import broken_environments
import broken_files
import broken_labels
import broken_photos
import broken_truth
import pytest
from fault import Project

from irnet_pipe.cli.main import main

ROOT = Path(__file__).parents[2]
FAULTS = [
    fault
    for part in (
        broken_photos,
        broken_labels,
        broken_truth,
        broken_configs,
        broken_files,
        broken_environments,
    )
    for fault in part.FAULTS
]
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture
def project(tmp_path, monkeypatch, trained) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, trained)


def test_no_two_faults_are_the_same():
    assert len({(fault.told, fault.output) for fault in FAULTS}) > 90
    assert len(BY_NAME) == len(FAULTS)


def test_the_project_is_sound(project, capsys):
    assert main(["validate", "--config", "my.yaml"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault, project, capsys):
    with project.conditions:
        fault.spoil(project)
        before = project.listing()
        code = main([project.told(word) for word in fault.words])
        after = project.listing()
    captured = capsys.readouterr()
    assert captured.err == project.told(fault.errors)
    assert (code, captured.out) == (fault.code, project.told(fault.output))
    assert after == before


def run(*words: str) -> tuple[int, str]:
    """Exit code and stderr of a process of its own."""
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", ["a key that is misspelt", "a file that is asked about and not there"])
def test_processes_say_the_same(name, project):
    fault = BY_NAME[name]
    fault.spoil(project)
    before = project.listing()
    assert run("irnet_pipe", *fault.words) == (fault.code, project.told(fault.errors))
    assert project.listing() == before


@pytest.mark.parametrize("name", ["HTML saved as .jpg", "a class called background"])
def test_snakemake_says_the_same(name, project):
    fault = BY_NAME[name]
    fault.spoil(project)
    snakefile = str(ROOT / "Snakefile")
    code, errors = run("snakemake", "--dry-run", "--snakefile", snakefile, "--configfile", "my.yaml")
    assert code == fault.code
    assert project.told(fault.errors) in errors
    assert "Traceback" not in errors


def test_standard_output_on_a_full_disk(project):
    command = [sys.executable, "-m", "irnet_pipe", "status", "--config", "my.yaml"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == (
        "error: standard output: No space left on device; free disk space, then run again; what is finished is kept\n"
    )
    assert done.returncode == 2
