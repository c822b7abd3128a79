"""Two ranks on a CPU train as one process would, go on from each other's checkpoints, and end together."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import rank_driver
import torch

from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.recipes import record_path, write_record
from irnet_pipe.runtime.attempts import read_attempts
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.ranks import Ranks

pytestmark = pytest.mark.slow

EPOCHS, BATCH = 20, 4
"""The tiny data set gives one batch an epoch: 20 steps, of two images a rank."""
STOPPED_AT = 8
SECONDS = 300
SOURCE = Path(__file__).parents[2] / "src"
TRAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cam running": (
        "train_cam",
        {"freeze": "stem", "batch_norm": "running", "lr": 1e-3, "lr_classifier": 0.01},
    ),
    # an untrained network with statistics of four images carries rounding on tenfold a step at higher rates
    "cam batch": ("train_cam", {"freeze": "none", "batch_norm": "batch", "lr": 1e-5, "lr_classifier": 0.01}),
    "irnet": ("train_irnet", {"lr_boundary": 0.01, "lr_displacement": 0.01}),
}


def make_job(pipeline, folder: Path, name: str, **changes: object) -> Job:
    """A job of one of `TRAINERS` with results of its own; `changes` to its settings."""
    stage, settings = TRAINERS[name]
    job = pipeline.job_in(folder, stage)
    section = f"{stage.removeprefix('train_')}.train"
    common = {"epochs": EPOCHS, "batch": BATCH, "crop": 32, "threads": 1, "optimizer": "sgd"}
    config = dict(job.record.spec["config"])
    config[section] = config[section] | common | settings | changes
    record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    record_path(job.results, record.recipe).unlink()  # a link to that of other tests
    write_record(job.results, record)
    return dataclasses.replace(job, record=record)


def run_alone(job: Job, signal_at: int | None = None) -> str:
    return rank_driver.run(
        record_path(job.results, job.record.recipe), job.root, ranks=Ranks(), signal_at=signal_at
    )


def run_together(folder: Path, jobs: Mapping[str, tuple[Job, int | None]]) -> list[dict[str, str]]:
    """Run jobs by two ranks; returns what each rank says of each."""
    described = {
        name: {
            "recipe": str(record_path(job.results, job.record.recipe)),
            "root": str(job.root),
            "signal_at": signal_at,
        }
        for name, (job, signal_at) in jobs.items()
    }
    (folder / "jobs.json").write_text(json.dumps(described), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, rank_driver.__file__, str(folder / "jobs.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"jobs.{rank}").read_text(encoding="utf-8")) for rank in range(2)]


@pytest.fixture(scope="module")
def made(pipeline, tmp_path_factory) -> dict[str, Job]:
    """Jobs by name: `<training> by 1` and `by 2` ranks; of IRNet also `1 then 2` and `2 then 1`."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs = {
        f"{name} by {n}": make_job(pipeline, folder / f"{name} {n}", name)
        for name in TRAINERS
        for n in (1, 2)
    }
    jobs |= {name: make_job(pipeline, folder / name, "irnet") for name in ("1 then 2", "2 then 1")}
    for name in TRAINERS:
        run_alone(jobs[f"{name} by 1"])
    assert f"after step {STOPPED_AT + 1} of" in run_alone(jobs["1 then 2"], signal_at=STOPPED_AT)
    together = {f"{name} by 2": (jobs[f"{name} by 2"], None) for name in TRAINERS}
    told = run_together(
        folder, together | {"1 then 2": (jobs["1 then 2"], None), "2 then 1": (jobs["2 then 1"], STOPPED_AT)}
    )
    message = f"train_irnet all seed 0: SIGUSR1 after step {STOPPED_AT + 1} of {EPOCHS}; the state is saved"
    for rank in told:
        assert rank.pop("2 then 1").startswith(message), "a signal to rank 1 stops both after the same step"
        assert set(rank.values()) == {""}
    checkpoints = [path.name for path in jobs["2 then 1"].work.glob("checkpoint-*")]
    assert f"checkpoint-{STOPPED_AT + 1:09d}.pth" in checkpoints
    run_alone(jobs["2 then 1"])
    return jobs


def assert_alike(job: Job, other: Job) -> None:
    """Losses and weights of two trainings agree to 1e-5; of the weights those that have been trained."""
    kind = job.record.stage.removeprefix("train_")
    one, two = (read_weights(path, kind=kind) for path in (job.output, other.output))
    assert one.history["step"] == list(range(1, EPOCHS + 1)) == two.history["step"]
    assert one.history.keys() == two.history.keys()
    for name, values in one.history.items():
        assert two.history[name] == pytest.approx(values, rel=1e-5), name
    # frozen weights are equal to the bit
    trained = [key for key, value in one.state_dict.items() if not value.equal(two.state_dict[key])]
    first, second = (torch.cat([w.state_dict[key].flatten().double() for key in trained]) for w in (one, two))
    assert float((second - first).norm() / first.norm()) <= 1e-5


@pytest.mark.parametrize("name", TRAINERS)
def test_two_ranks_train_as_one_process(made, name):
    assert_alike(made[f"{name} by 1"], made[f"{name} by 2"])


@pytest.mark.parametrize("name", ["1 then 2", "2 then 1"])
def test_checkpoints_serve_any_number_of_ranks(made, name):
    assert_alike(made["irnet by 1"], made[name])


class Launched:
    """A training by two ranks, started as the workflow does."""

    def __init__(self, job: Job, log: Path, *, devices: int = 2) -> None:
        self.job, self.log = job, log
        recipe = record_path(job.results, job.record.recipe)
        places = ["--recipe", str(recipe), "--output", str(job.output), "--root", str(job.root)]
        options = ["--device", "cpu", "--checkpoint-minutes", "0.001", "--devices", str(devices)]
        command = [sys.executable, "-m", "irnet_pipe", job.record.stage, *places, *options]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        with log.open("w") as stderr:
            self.process = subprocess.Popen(command, env=environment, stderr=stderr, start_new_session=True)

    def ranks(self) -> dict[int, int]:
        """Rank → pid."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"PPid:\t{self.process.pid}\n" in (path / "status").read_text(encoding="utf-8"):
                    environment = (path / "environ").read_bytes()
                    found |= {int(rank): int(path.name) for rank in re.findall(rb"\0RANK=(\d+)", environment)}
        return found

    def until_saved(self) -> None:
        """Wait for a checkpoint."""
        end = time.monotonic() + SECONDS
        while not list(self.job.work.glob("checkpoint-*")):
            assert self.process.poll() is None and time.monotonic() < end, self.said
            time.sleep(0.05)

    @property
    def said(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def outcomes(self) -> list[str]:
        return [attempt.outcome for attempt in read_attempts(self.job.results, self.job.record)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., Launched]]:
    started = []

    def start(job: Job, **options: int) -> Launched:
        started.append(Launched(job, tmp_path / "log", **options))
        return started[-1]

    yield start
    for launched in started:
        for pid in (*launched.ranks().values(), launched.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        launched.process.wait()


@pytest.fixture
def long_job(pipeline, tmp_path) -> Job:
    return make_job(pipeline, tmp_path, "irnet", epochs=1000)


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_that_is_killed_ends_all(launch, long_job, rank):
    launched = launch(long_job)
    launched.until_saved()
    ranks = launched.ranks()
    os.kill(ranks[rank], signal.SIGKILL)
    assert launched.process.wait(SECONDS) == 2
    assert not any(alive(pid) for pid in ranks.values())
    expected = (
        f"error: train_irnet: rank {rank} of 2 was ended by SIGKILL, most likely because memory ran out; "
    )
    assert launched.said[-1].startswith(expected)
    assert not [line for line in launched.said if "Traceback" in line]


def test_rank_that_fails_speaks_for_all(launch, long_job, tmp_path):
    launched = launch(dataclasses.replace(long_job, root=copied(long_job.root, tmp_path)))
    launched.until_saved()
    next((tmp_path / "photos").rglob("larger.png")).unlink()
    assert launched.process.wait(SECONDS) == 2
    assert re.match(r"error: .*larger\.png: cannot be read", launched.said[-1])
    assert sum("error" in line for line in launched.said) == 1
    assert launched.outcomes() == ["failed"]


def copied(root: Path, folder: Path) -> Path:
    return Path(shutil.copytree(root, folder / "photos"))


@pytest.mark.parametrize(
    ("number", "rank"), [(signal.SIGTERM, None), (signal.SIGUSR1, None), (signal.SIGINT, 1)]
)
def test_signal_stops_all(launch, long_job, number, rank):
    """To what has started the ranks, or to one of them."""
    launched = launch(long_job)
    launched.until_saved()
    os.kill(launched.process.pid if rank is None else launched.ranks()[rank], number)
    assert launched.process.wait(SECONDS) == 75, launched.said
    stopped = re.match(
        rf"stopped: .*: {number.name} after step (\d+) of 1000; the state is saved", launched.said[-1]
    )
    assert stopped and sum("stopped" in line for line in launched.said) == 1
    assert (long_job.work / f"checkpoint-{int(stopped[1]):09d}.pth").exists()
    assert launched.outcomes() == ["interrupted"]


def test_ranks_stop_with_what_has_started_them(launch, long_job):
    launched = launch(long_job)
    launched.until_saved()
    ranks = launched.ranks()
    launched.process.kill()
    end = time.monotonic() + SECONDS
    while any(alive(pid) for pid in ranks.values()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert launched.outcomes() == ["interrupted"]


def test_batch_that_the_devices_do_not_divide(launch, long_job):
    launched = launch(long_job, devices=3)
    assert launched.process.wait(SECONDS) == 2
    (line,) = launched.said
    assert line.startswith("error: irnet.train.batch is 4, which 3 ranks cannot share equally; ")
