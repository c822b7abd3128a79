"""What profiles/slurm asks of a scheduler, read from the command lines that reach sbatch; no Slurm is needed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cluster_project import ClusterProject

from irnet_pipe.config import parse_config
from irnet_pipe.workflow import prepare

pytestmark = pytest.mark.slow

SBATCH = """#!/bin/sh
printf '%s\\n' "$*" >> submitted
exit 1
"""
NAMES = {"--job-name", "--output", "--comment", "-D"}
"""Options whose values differ from run to run."""


@pytest.fixture
def project(tmp_path, photo_set, tiny, monkeypatch) -> ClusterProject:
    """A project whose sbatch notes its arguments, and refuses."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sbatch").write_text(SBATCH, encoding="utf-8")
    (programs / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return ClusterProject(folder, photo_set, tiny)


def submitted(project: ClusterProject, *arguments: str) -> list[str]:
    """Run snakemake until it gives up; returns the command lines, without what they run and what differs."""
    project.submit("--retries", "1", *arguments)
    assert project.run.wait() == 1
    lines = Path("submitted").read_text(encoding="utf-8").splitlines()
    return [_comparable(line.split(" --wrap=")[0]) for line in lines]


def _comparable(line: str) -> str:
    words = shlex.split(line)
    kept = [word for before, word in zip(["", *words], words, strict=False) if not {before, word} & NAMES]
    return " ".join(kept)


def test_a_training(project):
    asked = "--parsable --export=ALL -p main -t 1440 --mem {} --cpus-per-task=8 --signal=TERM@120 --gpus=1"
    assert submitted(project, "--until", "train_cam") == [asked.format(8000), asked.format(16000)]


def test_a_training_on_several_gpus(project):
    project.values["runtime"]["devices_per_training"] = 2
    asked = "--parsable --export=ALL -p main -t 1440 --mem {} --cpus-per-task=8 --signal=TERM@120 --gpus=2"
    lines = submitted(project, "--until", "train_cam", "--resources", "gpu=2")
    assert lines == [asked.format(16000), asked.format(32000)]


def test_four_shards_are_one_job(project):
    """They share a GPU and its memory one after another, so their times add up."""
    weights = Path("results", prepare(parse_config(project.values)).plan.of("train_cam")[0].path)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"stands in for an artifact")
    asked = "--parsable --export=ALL -p main -t {} --mem {} --cpus-per-task=1 --gpus=1"
    lines = submitted(project, "--until", "infer_cam")
    assert lines == [asked.format(480, 4000), asked.format(960, 8000)]


def test_a_site_overrides_what_a_rule_asks_for(project):
    lines = submitted(
        project,
        "--until",
        "train_cam",
        "--set-resources",
        "train_cam:mem_mb=6000*attempt",
        "train_cam:runtime=60",
        "train_cam:slurm_partition=long",
        "--set-threads",
        "train_cam=2",
    )
    asked = "--parsable --export=ALL -p long -t 60 --mem {} --cpus-per-task=2 --gpus=1"
    assert lines == [asked.format(6000), asked.format(12000)]
