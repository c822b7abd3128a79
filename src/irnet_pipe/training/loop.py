"""The training loop of all networks, readable from top to bottom.

Equal recipe, equal bytes: samples are seeded one by one, torch's threads are part of the recipe, and a
training that was interrupted at any step goes on as if it had not been. Several ranks share each batch, and any
number of them may go on from the same checkpoint: weights of the classifier and of IRNet are those of one process up to
rounding; segmenters differ by more (docs/segmenters.md).
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from irnet_pipe.data.datasets import Sample, Samples, dead_loaders_told, load_batches
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.runtime.collectives import (
    data_parallel,
    from_leader,
    largest_of_ranks,
    mean_over_ranks,
    process_group,
)
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.runtime.interrupt import StopRequest, stop_on_signal
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.memory import explain_out_of_memory
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.runtime.ranks import Ranks
from irnet_pipe.runtime.seeding import reproducible
from irnet_pipe.training.checkpoint import Checkpoints
from irnet_pipe.training.optimizer import make_optimizer, set_learning_rate
from irnet_pipe.training.schedule import Schedule, learning_rate_factor

CURVE_POINTS = 200
RECENT = 20


@dataclass(frozen=True)
class Task:
    """What is trained.

    Attributes:
        section: of the config, for messages: cam.train, irnet.train, ….
        model: trained in place.
        groups: its trainable parameters by the name of their group.
        learning_rates: peak of each group.
        samples: pairs (photo, target) by (epoch, index).
        losses: (output of the model, targets) → scalars in float32 by name, of which each rank gives one whose
            mean over ranks is that of the global batch; `total` is minimised. None: the model, given photos and
            targets, gives them itself.
        settings: values of the section.
    """

    section: str
    model: nn.Module
    groups: Mapping[str, list[nn.Parameter]]
    learning_rates: Mapping[str, float]
    samples: Samples
    losses: Callable[[Any, Tensor], Mapping[str, Tensor]] | None
    settings: Mapping[str, Any]


def train(task: Task, job: Job) -> dict[str, list[float]]:
    """Train, from the newest checkpoint where there is one.

    Returns:
        Training curves: see `curves`.

    Raises:
        InputError: fewer samples than a batch, a batch that the ranks cannot share equally, a loss that is not
            finite, a device without the memory for a step, or what the samples raise.
        Interrupted: a signal came to a rank; the state is saved.
        PeerLost: another rank has gone.
    """
    settings, ranks = task.settings, job.ranks
    device = use_device(job.device, number=ranks.local_rank if ranks.size > 1 else None)
    precision = autocast(device, settings["precision"])
    schedule = _schedule(task, ranks)
    checkpoints = Checkpoints(job.work, recipe=job.record.recipe)
    with (
        reproducible(device, threads=settings["threads"]),
        process_group(ranks, device),
        dead_loaders_told(job.record.stage),
        stop_on_signal() as stop,
        explain_out_of_memory(_too_large(task, ranks, device)),
    ):
        state = _State(task, device)
        first = state.restore(checkpoints.newest() if ranks.leads else None)
        keys = map(ranks.part, schedule.batches(first, seed=job.setting("seed"), stage=job.record.stage))
        display = _Display(job, schedule, first)
        saved = time.monotonic()
        # closed at once, whatever happens: processes that load photos must not outlive the training
        with closing(load_batches(task.samples, keys, workers=job.workers, device=device)) as loaded:
            batches = _Awaited(loaded)
            for step, (photo, target) in enumerate(batches, first):
                factor = learning_rate_factor(settings, step, schedule.steps)
                set_learning_rate(state.optimizer, factor)
                losses = _losses(task, state.network, photo, target, precision)
                state.note(losses)
                if not math.isfinite(state.history["loss"][-1]):
                    raise _not_finite(task, state, schedule, step, job)
                state.descend(losses["total"])

                done = step + 1
                stopped = _stopped(stop, device)
                if ranks.leads:
                    display.update(state, done, waiting=batches.share)
                    due = time.monotonic() - saved >= 60 * job.checkpoint_minutes
                    if due or stopped or done % schedule.steps_per_epoch == 0:
                        checkpoints.save(state.capture(), step=done)
                        saved = time.monotonic()
                if stopped:
                    progress = f"{job.record.label}: {stopped} after step {done} of {schedule.steps}"
                    raise Interrupted(f"{progress}; the state is saved, and the next run goes on from there")
    return curves(state.history, schedule)


def _schedule(task: Task, ranks: Ranks) -> Schedule:
    batch, samples = task.settings["batch"], len(task.samples)
    if batch % ranks.size:
        raise InputError(
            f"{task.section}.batch is {batch}, which {ranks.size} ranks cannot share equally; train on a number of "
            f"ranks that divides it (runtime.devices_per_training, or torchrun's --nproc-per-node), or set it to a "
            f"multiple of {ranks.size}, which changes results"
        )
    if samples < batch:
        raise InputError(
            f"{task.section}.batch is {batch}, but only {samples} images can be trained on; lower it to "
            f"{samples} or less, or add images"
        )
    return Schedule.of(task.settings, samples=samples)


def _losses(
    task: Task, network: nn.Module, photo: Any, target: Any, precision: torch.autocast
) -> Mapping[str, Tensor]:
    with precision:
        output = network(photo, target) if task.losses is None else network(photo)
    losses: Mapping[str, Tensor] = output if task.losses is None else task.losses(output, target)
    return losses


def _stopped(stop: StopRequest, device: torch.device) -> str | None:
    """Name of a signal that has come to any rank: all ranks stop after the same step."""
    number = largest_of_ranks(signal.Signals[stop.signal] if stop.signal else 0, device)
    return signal.Signals(number).name if number else None


class _State:
    """All that a step changes."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.device = device
        self.model = task.model.to(device).to(memory_format=torch.channels_last).train()
        self.network = data_parallel(self.model, device)
        self.optimizer = make_optimizer(task.groups, task.learning_rates, settings=task.settings)
        # float16 has no small gradients: the loss is scaled up, and the gradients down again
        self.scaler = torch.amp.GradScaler(device.type, enabled=task.settings["precision"] == "fp16")
        self.history: dict[str, list[float]] = {}

    def note(self, losses: Mapping[str, Tensor]) -> None:
        """Add a step's losses and learning rates to the history; one transfer from the device for all."""
        values = mean_over_ranks(torch.stack([loss.detach() for loss in losses.values()])).tolist()
        names = ["loss" if name == "total" else f"loss_{name}" for name in losses]
        rates = {f"lr_{group['name']}": group["lr"] for group in self.optimizer.param_groups}
        for name, value in (dict(zip(names, values, strict=True)) | rates).items():
            self.history.setdefault(name, []).append(value)

    def descend(self, loss: Tensor) -> None:
        """Take a step of the optimiser."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def capture(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history,
            "random": torch.get_rng_state(),
            "random_cuda": [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else [],
        }

    def restore(self, checkpoint: tuple[int, dict[str, Any]] | None) -> int:
        """Go back to rank 0's checkpoint, where it has one; returns the number of steps done."""
        checkpoint = from_leader(checkpoint, self.device)
        if checkpoint is None:
            return 0
        step, state = checkpoint
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.history = state["history"]
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"][0], self.device)
        return step


class _Awaited:
    """Batches, and the share of the time since the first one that was spent waiting for the next."""

    def __init__(self, batches: Iterator[Sample]) -> None:
        self.batches = batches
        self.share = 0.0

    def __iter__(self) -> Iterator[Sample]:
        waited, start, asked = 0.0, math.inf, math.inf
        for batch in self.batches:
            now = time.monotonic()
            if start < now:  # the first one has waited for processes to start
                waited += now - asked
                self.share = waited / (now - start)
            start = min(start, now)
            yield batch
            asked = time.monotonic()


class _Display:
    """Loss, learning rates, images/s, time spent waiting for photos, and time left."""

    def __init__(self, job: Job, schedule: Schedule, first: int) -> None:
        self.schedule = schedule
        total = schedule.steps * schedule.batch
        self.progress = Progress(total=total, title=job.record.label, unit="images", events=job.events)
        self.progress.resume_at(first * schedule.batch)
        if first and job.ranks.leads:
            sys.stderr.write(f"{job.record.label}: going on from step {first} of {schedule.steps}\n")

    def update(self, state: _State, done: int, *, waiting: float) -> None:
        recent = state.history["loss"][-RECENT:]
        loss, epoch = sum(recent) / len(recent), self.schedule.epoch(done - 1) + 1
        rates = {f"lr_{group['name']}": group["lr"] for group in state.optimizer.param_groups}
        note = f"epoch {epoch}/{self.schedule.epochs} · loss {loss:.4f} · "
        note += " ".join(f"{name} {rate:.3g}" for name, rate in rates.items())
        note += f" · waiting for photos {waiting:.0%}"
        self.progress.update(done * self.schedule.batch, note, epoch=epoch, loss=loss, **rates)


def _too_large(task: Task, ranks: Ranks, device: torch.device) -> str:
    section, settings = task.section, task.settings
    batch, precision = settings["batch"] // ranks.size, settings["precision"]
    if "crop" in settings:
        size, key = f"crops of {settings['crop']}×{settings['crop']} pixels", "crop"
    else:
        size, key = f"photos of up to {settings['max_side']} pixels a side", "max_side"
    remedy = f"lower {section}.batch or {section}.{key}"
    if precision == "fp32":
        remedy += f", or set {section}.precision: bf16"
    return (
        f"{section}: {device} does not have the memory for a step on {batch} {size} in {precision}; {remedy}"
    )


def _not_finite(task: Task, state: _State, schedule: Schedule, step: int, job: Job) -> InputError:
    values = ", ".join(f"{name} {values[-1]:.3g}" for name, values in state.history.items())
    keys = next(schedule.batches(step, seed=job.setting("seed"), stage=job.record.stage))
    images = ", ".join(repr(task.samples.entries[index].image_id) for _, index in keys)
    return InputError(
        f"{task.section}: the loss is not finite in epoch {schedule.epoch(step) + 1}, step {step + 1} of "
        f"{schedule.steps}: {values}, on the batch {images}; lower "
        f"{', '.join(f'{task.section}.{key}' for key in task.settings if key.startswith('lr'))}, or set "
        f"{task.section}.precision: fp32"
    )


def curves(history: Mapping[str, list[float]], schedule: Schedule) -> dict[str, list[float]]:
    """Training curves for the report, from what each step noted.

    Args:
        history: one value a step, by name.
        schedule: steps and epochs.

    Returns:
        `step` (end of each of at most 200 equal parts of the training) and per name the mean in each part;
        `epoch` and `epoch_<name>` likewise for each epoch.
    """
    points = min(CURVE_POINTS, schedule.steps)
    parts = [schedule.steps * (point + 1) // points for point in range(points)]
    epochs = schedule.ends
    made = {"step": [float(end) for end in parts], "epoch": [float(n + 1) for n in range(schedule.epochs)]}
    for name, values in history.items():
        made[name] = _means(values, parts)
        made[f"epoch_{name}"] = _means(values, epochs)
    return made


def _means(values: list[float], ends: list[int]) -> list[float]:
    starts = [0, *ends[:-1]]
    return [sum(values[start:end]) / (end - start) for start, end in zip(starts, ends, strict=True)]
