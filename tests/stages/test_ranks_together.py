"""Two ranks on a CPU train as one process would, stop together, and go on from each other's checkpoints."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import rank_driver
import torch

from irnet_pipe.artifacts.weights import Weights, read_weights
from irnet_pipe.recipes import record_path, write_record
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.ranks import Ranks

EPOCHS, BATCH = 20, 4
"""The tiny data set gives one batch an epoch: 20 steps, of two images a rank."""
STOPPED_AT = 8
TRAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cam running": ("train_cam", {"freeze": "stem", "batch_norm": "running", "lr": 1e-3, "lr_classifier": 1e-2}),
    "cam batch": ("train_cam", {"freeze": "none", "batch_norm": "batch", "lr": 1e-3, "lr_classifier": 1e-2}),
    "irnet": ("train_irnet", {"lr_boundary": 0.1, "lr_displacement": 0.1}),
}


def make_job(pipeline, folder: Path, name: str) -> Job:
    stage, changes = TRAINERS[name]
    job = pipeline.job_in(folder, stage)
    section = f"{stage.removeprefix('train_')}.train"
    settings = job.record.spec["config"][section] | {"epochs": EPOCHS, "batch": BATCH, "threads": 1, "optimizer": "sgd"}
    config = job.record.spec["config"] | {section: settings | changes}
    record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    record_path(job.results, record.recipe).unlink()  # a link to that of other tests
    write_record(job.results, record)
    return dataclasses.replace(job, record=record)


def run_alone(job: Job, signal_at: int | None = None) -> str:
    return rank_driver.run(record_path(job.results, job.record.recipe), job.root, ranks=Ranks(), signal_at=signal_at)


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
        [*command, rank_driver.__file__, str(folder / "jobs.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"jobs.{rank}").read_text(encoding="utf-8")) for rank in range(2)]


@pytest.fixture(scope="module")
def made(pipeline, tmp_path_factory) -> dict[str, Job]:
    """Jobs by name: `<training> by 1` and `by 2` ranks; of IRNet also `1 then 2` and `2 then 1`."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs = {f"{name} by {n}": make_job(pipeline, folder / f"{name} {n}", name) for name in TRAINERS for n in (1, 2)}
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


def weights_of(job: Job) -> Weights:
    return read_weights(job.output, kind=job.record.stage.removeprefix("train_"))


def vector(weights: Weights, untrained: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """All that the training has changed."""
    changed = [key for key, value in weights.state_dict.items() if not value.equal(untrained[key])]
    return torch.cat([weights.state_dict[key].flatten().double() for key in changed])


def assert_alike(one: Job, other: Job) -> None:
    one, other = weights_of(one), weights_of(other)
    assert one.history["step"] == list(range(1, EPOCHS + 1)) == other.history["step"]
    for name, values in one.history.items():
        assert other.history[name] == pytest.approx(values, rel=1e-5), name
    worst = {}
    for key, value in one.state_dict.items():
        first, second = value.double(), other.state_dict[key].double()
        worst[key] = float((second - first).norm() / first.norm().clamp_min(1e-30))
    a = torch.cat([v.double().flatten() for v in one.state_dict.values()])
    b = torch.cat([other.state_dict[k].double().flatten() for k in one.state_dict])
    print(float((a-b).norm()/a.norm()), max(worst.items(), key=lambda i: i[1]))
    print(one.history["loss"])


@pytest.mark.parametrize("name", TRAINERS)
def test_two_ranks_train_as_one_process(made, name):
    assert_alike(made[f"{name} by 1"], made[f"{name} by 2"])


@pytest.mark.parametrize("name", ["1 then 2", "2 then 1"])
def test_checkpoints_serve_any_number_of_ranks(made, name):
    assert_alike(made["irnet by 1"], made[name])
