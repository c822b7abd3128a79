"""Signals, kills, twins and clocks, by snakemake as a person runs it."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest
from chaos import main as chaos
from processes import orphans, stages
from tiny_project import Project

from irnet_pipe.config import parse_config
from irnet_pipe.errors import EXIT_INPUT, STOPPED
from irnet_pipe.plan import Artifact
from irnet_pipe.workflow import prepare

SECONDS = 600
STEPS = 24


@pytest.fixture
def training(project, monkeypatch) -> tuple[Project, Artifact]:
    """A classifier's training of 24 steps, a checkpoint after every other, and what it makes."""
    monkeypatch.chdir(project.folder)
    project.values["cam"]["train"]["epochs"] = STEPS // 2
    project.values["runtime"]["workers"] = 1
    return project, prepare(parse_config(project.values)).plan.of("train_cam")[0]


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def start_training(project: Project, *arguments: str) -> subprocess.Popen[str]:
    with (project.folder / "snakemake.log").open("a") as log:
        return project.start("--until", "train_cam", *arguments, stdout=log, stderr=subprocess.STDOUT)


def checkpoints(project: Project) -> list[int]:
    """Steps that are saved; none once the weights are there."""
    names = (project.folder / "results" / "work" / "train_cam").glob("*/checkpoint-*.pth")
    return sorted(int(path.stem.partition("-")[2]) for path in names)


def text_of(project: Project) -> str:
    return (project.folder / "snakemake.log").read_text(encoding="utf-8")


def trainer(process: subprocess.Popen[str]) -> int:
    (pid,) = (pid for pid, stage in stages(process.pid).items() if stage == "train_cam")
    return pid


def finish(project: Project) -> bytes:
    """Unlock, run to the end of the training; returns the weights."""
    assert project.snakemake("--unlock").returncode == 0
    done = project.snakemake("--until", "train_cam")
    assert done.returncode == 0, done.stdout + done.stderr
    with (project.folder / "snakemake.log").open("a") as log:
        log.write(done.stdout + done.stderr)
    (weights,) = (project.folder / "results" / "train_cam").iterdir()
    return weights.read_bytes()


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, bytes]:
    """Weights of the training, once a test has made them in a straight run."""
    return {}


def check_weights(project: Project, uninterrupted: dict[str, bytes], weights: bytes) -> None:
    if "weights" not in uninterrupted:
        for path in (project.folder / "results" / "train_cam").iterdir():
            path.unlink()
        project.run("--until", "train_cam")
        (path,) = (project.folder / "results" / "train_cam").iterdir()
        uninterrupted["weights"] = path.read_bytes()
    assert weights == uninterrupted["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_trainer_that_is_told_to_stop_goes_on_under_retries(training, uninterrupted, number):
    project, artifact = training
    process = start_training(project, "--retries", "2")
    until(lambda: checkpoints(project), "a checkpoint")
    os.kill(trainer(process), number)
    assert process.wait(SECONDS) == 0, text_of(project)
    text = text_of(project)
    stopped = re.search(rf"stopped: train_cam all seed 0: {number.name} after step (\d+) of {STEPS}", text)
    assert stopped and "exit status 75" in text
    assert f"going on from step {stopped[1]} of {STEPS}" in text
    assert not orphans(process.pid)
    weights = (project.folder / "results" / artifact.path).read_bytes()
    check_weights(project, uninterrupted, weights)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_signal_to_the_whole_group_saves_the_state(training, uninterrupted, number):
    project, artifact = training
    process = start_training(project)
    until(lambda: checkpoints(project), "a checkpoint")
    os.killpg(process.pid, number)
    assert process.wait(SECONDS) != 0
    assert not orphans(process.pid), "the trainer ends once it has saved its state"
    log = (project.folder / "results" / "logs" / "train_cam" / f"all.{artifact.recipe}.log").read_text()
    stopped = re.search(rf"stopped: .*{number.name} after step (\d+) of {STEPS}; the state is saved", log)
    assert stopped, log
    assert checkpoints(project)[-1] == int(stopped[1])
    weights = finish(project)
    assert f"going on from step {stopped[1]} of {STEPS}" in text_of(project)
    check_weights(project, uninterrupted, weights)


@pytest.mark.slow
def test_ctrl_c_once_is_clean_and_says_how_to_go_on(training, uninterrupted):
    project, artifact = training
    process = start_training(project)
    until(lambda: checkpoints(project), "a checkpoint")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(SECONDS) != 0
    assert not orphans(process.pid), "the trainer ends once it has saved its state"
    text = text_of(project)
    assert "Traceback" not in text
    assert re.search(r"stopped: .*SIGINT after step \d+ of \d+; the state is saved", text), text
    assert f"\n{STOPPED}\n" in text
    project.run("--until", "train_cam")  # no lock is left
    check_weights(project, uninterrupted, (project.folder / "results" / artifact.path).read_bytes())


@pytest.mark.slow
def test_trainer_that_is_killed_is_explained_and_leaves_no_process(training):
    project, _ = training
    process = start_training(project)
    until(lambda: checkpoints(project), "a checkpoint")
    os.kill(trainer(process), signal.SIGKILL)
    assert process.wait(SECONDS) == 1
    assert not orphans(process.pid), "what loads photos ends with the trainer"
    assert "killed from outside, most likely because memory ran out" in text_of(project)
    assert checkpoints(project)


@pytest.mark.slow
def test_two_runs_in_one_folder(training):
    """The second is told what to do, and touches nothing."""
    project, artifact = training
    work = project.folder / "results" / "work" / "train_cam" / artifact.recipe
    work.mkdir(parents=True)
    with (work / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = start_training(project)
        until(lambda: "another process works on this artifact; waiting" in text_of(project), "the lock")
        second = project.snakemake()
        assert second.returncode == 1
        assert "LockException" in second.stdout + second.stderr
        assert "--unlock" in second.stdout + second.stderr
        assert first.poll() is None and not project.artifacts()
        os.kill(trainer(first), signal.SIGKILL)
    assert first.wait(SECONDS) == 1


@pytest.mark.slow
def test_chaos_in_short(capsys):
    code = chaos(["--kills", "3", "--images", "8", "--epochs", "1", "--seed", "3"])
    output = capsys.readouterr().out
    assert code == 0, output
    assert re.search(r"^runs (\d+), equal to the undisturbed one \1$", output, re.MULTILINE), output


@pytest.mark.parametrize("year", [1980, 2100])
def test_clock_that_goes_wrong_repeats_nothing(project, monkeypatch, year):
    """Files of any age: neither those of a clock that was set back nor those of one that was ahead."""
    monkeypatch.chdir(project.folder)
    plan = prepare(parse_config(project.values)).plan
    for artifact in plan.artifacts[:-1]:
        path = project.folder / "results" / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stands in for an artifact")
    outputs = project.folder / "outputs" / "tiny"
    outputs.mkdir(parents=True)
    (outputs / "masks.json").write_text("{}")
    (outputs / f"recipe-{plan.targets[0].recipe}.json").write_text(json.dumps({}))
    clock = random.Random(year)
    for path in sorted(project.folder.rglob("*")):
        seconds = (year - 1970) * 31_556_952 + clock.randrange(10**6)
        os.utime(path, (seconds, seconds))
    done = project.snakemake("--dry-run")
    assert (done.returncode, project.jobs(done)) == (0, Counter()), done.stdout
    (outputs / "masks.json").unlink()
    assert project.jobs(project.snakemake("--dry-run")) == Counter(publish=1)


def test_fault_of_the_machine_at_the_parse(project):
    project.values["runtime"]["results"] = "my.yaml/results"
    done = project.snakemake("--dry-run")
    assert done.returncode == EXIT_INPUT, done.stderr
    assert (
        "error: my.yaml/results/index: Not a directory; a file lies where a folder is needed" in done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
