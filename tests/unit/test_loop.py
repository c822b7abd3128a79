"""The training loop on a toy network: what an interruption, a signal or a bad loss does."""

import dataclasses
import io
import multiprocessing
import os
import re
import signal

import pytest
import torch
from torch import nn
from torch.utils.data import get_worker_info

from irnet_pipe.data import datasets
from irnet_pipe.data.datasets import Samples
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.recipes import Record
from irnet_pipe.runtime.events import Events, read_events
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.ranks import Ranks
from irnet_pipe.training import loop
from irnet_pipe.training.loop import Task, curves, train
from irnet_pipe.training.schedule import Schedule

SETTINGS = {
    "epochs": 3,
    "batch": 4,
    "crop": 8,
    "optimizer": "adamw",
    "schedule": "one_cycle",
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "precision": "fp32",
    "threads": 1,
    "lr": 0.01,
}
STEPS = 9


class Noise(Samples):
    """Photos drawn from the key; `event(key)` is called first."""

    def __init__(self, tmp_path, event=id) -> None:
        entries = [ImageEntry(f"{number}", "", 8, 8, (), "") for number in range(14)]
        super().__init__(entries, tmp_path, seed=0)
        self.event = event

    def __getitem__(self, key):
        self.event(key)
        photo = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(100 * key[0] + key[1]))
        return photo, photo.mean()


@pytest.fixture
def job(tmp_path):
    record = Record(
        "a" * 16, "train_cam", 1, "all", "train_cam all", "all.pth", {"config": {"seed": 5}}, (), (), {}
    )
    return Job(record, tmp_path / "all.pth", tmp_path / "results", tmp_path, device="cpu")


def make_task(samples: Samples, *, loss=nn.functional.mse_loss, **changes: object) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1))
    return Task(
        section="cam.train",
        model=model,
        groups={"backbone": list(model[0].parameters()), "classifier": list(model[4].parameters())},
        learning_rates={"backbone": 0.01, "classifier": 0.1},
        samples=samples,
        losses=lambda output, target: {"total": loss(output.float()[:, 0], target)},
        settings=SETTINGS | changes,
    )


def content(task: Task, history: dict[str, list[float]]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state": task.model.state_dict(), "history": history}, buffer)
    return buffer.getvalue()


def result(task: Task, job: Job) -> bytes:
    return content(task, train(task, job))


def at_step(step: int, action):
    """Event that acts once, when the samples of a step are loaded."""
    seen = []

    def event(key):
        seen.append(key)
        if len(seen) == 4 * step + 1:
            action()

    return event


def fail() -> None:
    raise RuntimeError("power cut")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_interrupted_training_ends_with_the_same_bytes(job, tmp_path, step, optimizer):
    straight = dataclasses.replace(job, results=tmp_path / "straight")
    expected = result(make_task(Noise(tmp_path), optimizer=optimizer), straight)
    # saved at every step by the clock, and at each epoch
    job = dataclasses.replace(job, checkpoint_minutes=0)
    with pytest.raises(RuntimeError, match="power cut"):
        train(make_task(Noise(tmp_path, at_step(step, fail)), optimizer=optimizer), job)
    assert (job.work / f"checkpoint-{step:09d}.pth").exists()
    loaded = []
    again = make_task(Noise(tmp_path, loaded.append), optimizer=optimizer)
    assert result(again, job) == expected
    assert len(loaded) == 4 * (STEPS - step)


def test_each_epoch_is_saved(job, tmp_path):
    train(make_task(Noise(tmp_path)), job)
    assert sorted(path.name for path in job.work.iterdir()) == [
        "checkpoint-000000006.pth",
        "checkpoint-000000009.pth",
    ]


def test_finished_training_is_not_repeated(job, tmp_path):
    expected = result(make_task(Noise(tmp_path)), job)
    assert result(make_task(Noise(tmp_path, lambda key: fail())), job) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signal_ends_the_step_and_saves(job, tmp_path, number):
    handlers = [signal.getsignal(known) for known in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    expected = result(make_task(Noise(tmp_path)), dataclasses.replace(job, results=tmp_path / "straight"))
    event = at_step(4, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match=rf"train_cam all: {number.name} after step 5 of 9"):
        train(make_task(Noise(tmp_path, event)), job)
    assert [signal.getsignal(known) for known in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == handlers
    assert (job.work / "checkpoint-000000005.pth").exists()
    assert result(make_task(Noise(tmp_path)), job) == expected


def killed_in_worker(key) -> None:
    """The system ends a process that loads photos, in the last epoch."""
    if get_worker_info() and key[0] == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def test_loader_that_is_killed_is_told_and_nothing_is_lost(job, tmp_path):
    expected = result(make_task(Noise(tmp_path)), dataclasses.replace(job, results=tmp_path / "straight"))
    before = multiprocessing.active_children()  # those of other tests in this process
    with pytest.raises(InputError) as caught:
        train(make_task(Noise(tmp_path, killed_in_worker)), dataclasses.replace(job, workers=1))
    (message,) = caught.value.problems
    assert message.startswith(
        "train_cam: a process that loads photos has died, most likely because memory ran out"
    )
    assert "set runtime.workers lower" in message and "set-resources: train_cam: mem_mb" in message
    assert set(multiprocessing.active_children()) <= set(before)
    assert (job.work / "checkpoint-000000003.pth").exists()
    assert result(make_task(Noise(tmp_path)), job) == expected


def test_going_on_is_told(job, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="power cut"):
        train(make_task(Noise(tmp_path, at_step(5, fail))), job)
    assert "going on" not in capsys.readouterr().err
    train(make_task(Noise(tmp_path)), job)
    assert "train_cam all: going on from step 3 of 9\n" in capsys.readouterr().err


def test_loss_that_is_not_finite(job, tmp_path):
    def loss(output, target):
        return nn.functional.mse_loss(output, target) * (float("nan") if target[0] == 0 else 1)

    samples = Noise(tmp_path)
    plain = samples.__getitem__
    samples_with_zero = type(
        "Zero", (Noise,), {"__getitem__": lambda self, key: zero_in_epoch_2(plain(key), key)}
    )
    with pytest.raises(InputError) as caught:
        train(make_task(samples_with_zero(tmp_path), loss=loss), job)
    message = caught.value.problems[0]
    assert message.startswith(
        "cam.train: the loss is not finite in epoch 2, step 4 of 9: loss nan, lr_backbone "
    )
    assert message.endswith("lower cam.train.lr, or set cam.train.precision: fp32")


def zero_in_epoch_2(sample, key):
    photo, target = sample
    return photo, target * (key[0] != 1)


def test_fewer_images_than_a_batch(job, tmp_path):
    with pytest.raises(InputError, match=r"cam\.train\.batch is 15, but only 14 images .* lower it to 14"):
        train(make_task(Noise(tmp_path), batch=15), job)


def test_batch_that_ranks_cannot_share_equally(job, tmp_path):
    with pytest.raises(InputError) as caught:
        train(make_task(Noise(tmp_path)), dataclasses.replace(job, ranks=Ranks(rank=1, size=3)))
    (message,) = caught.value.problems
    assert message.startswith(
        "cam.train.batch is 4, which 3 ranks cannot share equally; train on a number of ranks"
    )
    assert "(runtime.devices_per_training, or torchrun's --nproc-per-node)" in message


def test_half_precision_needs_cuda(job, tmp_path):
    with pytest.raises(InputError, match="fp16 needs a CUDA device"):
        train(make_task(Noise(tmp_path), precision="fp16"), job)


@pytest.mark.parametrize(
    ("precision", "remedy"),
    [
        ("fp32", "lower cam.train.batch or cam.train.crop, or set cam.train.precision: bf16; "),
        ("bf16", "lower cam.train.batch or cam.train.crop; "),
    ],
)
def test_device_without_the_memory_for_a_step(job, tmp_path, precision, remedy):
    def loss(output, target):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(InputError) as caught:
        train(make_task(Noise(tmp_path), loss=loss, precision=precision), job)
    (message,) = caught.value.problems
    expected = f"cam.train: cpu does not have the memory for a step on 4 crops of 8×8 pixels in {precision}; "
    assert message.startswith(expected + remedy)


def test_events_hold_loss_and_learning_rates(job, tmp_path):
    events = Events(tmp_path / "events.jsonl")
    train(make_task(Noise(tmp_path)), dataclasses.replace(job, events=events))
    last = list(read_events(tmp_path / "events.jsonl"))[-1]
    assert (last["event"], last["done"], last["total"], last["epoch"]) == ("progress", 36, 36, 3)
    assert last["loss"] > 0 and {"lr_backbone", "lr_classifier"} <= last.keys()


def test_progress_tells_epoch_loss_rate_and_time_left(job, tmp_path, capsys):
    train(make_task(Noise(tmp_path)), job)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("train_cam all: 36/36 images · ")
    assert "/s · ETA 0s · epoch 3/3 · loss " in line
    assert "lr_backbone" in line
    assert re.search(r" · waiting for photos \d+%$", line)


def test_share_of_the_time_spent_waiting_for_photos(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])

    def load():
        for seconds in (50, 1, 3):
            now[0] += seconds
            yield seconds

    shares = []
    batches = loop._Awaited(load())
    for _ in batches:
        shares.append(batches.share)
        now[0] += 2
    # 1 of 1 + 2 seconds, then 1 + 3 of 1 + 2 + 3 + 2; the first batch waits for processes to start
    assert shares == [0, 1 / 3, 4 / 8]


def test_curves_are_means():
    made = curves({"loss": [1.0, 3.0, 5.0, 9.0]}, Schedule(samples=5, batch=2, epochs=2))
    assert made == {
        "step": [1, 2, 3, 4],
        "epoch": [1, 2],
        "loss": [1, 3, 5, 9],
        "epoch_loss": [2, 7],
    }


def test_curves_have_at_most_200_points_that_cover_every_step():
    schedule = Schedule(samples=1000, batch=2, epochs=1)
    made = curves({"loss": [float(step) for step in range(500)]}, schedule)
    assert len(made["loss"]) == len(made["step"]) == 200
    assert made["step"][-1] == 500
    sizes = [end - start for start, end in zip([0, *made["step"]], made["step"], strict=False)]
    assert sum(size * mean for size, mean in zip(sizes, made["loss"], strict=True)) == pytest.approx(
        sum(range(500))
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), InputError),
        (EOFError(), InputError),
        (OSError("got end of file during message"), InputError),
        (OSError(28, "No space left on device"), OSError),
        (RuntimeError("something else"), RuntimeError),
    ],
)
def test_connection_that_breaks_off_means_a_dead_loader(monkeypatch, error, told):
    """Also where the signal that tells of the death has been lost in a place that swallows errors."""
    monkeypatch.setattr(datasets, "DEATH_SECONDS", 0)
    with pytest.raises(told) as caught, datasets.dead_loaders_told("train_cam"):
        raise error
    assert told is InputError or caught.value is error
