"""What a training does when: the learning rate of each step, and the samples of each batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from irnet_pipe.runtime.seeding import generator

SampleKey = tuple[int, int]
"""(epoch, index): a sample is drawn anew in each epoch."""

WARM_UP = 0.3
START = 1 / 25


@dataclass(frozen=True)
class Schedule:
    """Steps of a training: `epochs` passes over `samples` in batches; an incomplete last batch is dropped.

    A training that is counted in iterations ends with them, amid its last epoch.
    """

    samples: int
    batch: int
    epochs: int
    iterations: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any], *, samples: int) -> Schedule:
        """Schedule of a training's section, which counts epochs or iterations."""
        batch, iterations = settings["batch"], settings.get("iterations")
        epochs = settings["epochs"] if iterations is None else math.ceil(iterations / (samples // batch))
        return cls(samples, batch, epochs, iterations)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.samples // self.batch

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.ends[-1]

    @property
    def ends(self) -> list[int]:
        """Steps done after each epoch."""
        whole = [self.steps_per_epoch * (epoch + 1) for epoch in range(self.epochs)]
        return [min(end, self.iterations or end) for end in whole]

    def epoch(self, step: int) -> int:
        """Epoch that a step belongs to, from 0."""
        return step // self.steps_per_epoch

    def batches(self, first: int, *, seed: int, stage: str) -> Iterator[list[SampleKey]]:
        """Samples of each step from `first` on; an epoch's order depends on (seed, stage, epoch) alone."""
        ends = self.ends
        for epoch in range(self.epoch(first), self.epochs):
            order = generator(seed, stage, epoch, "order").permutation(self.samples).tolist()
            for step in range(max(first, epoch * self.steps_per_epoch), ends[epoch]):
                start = step % self.steps_per_epoch * self.batch
                yield [(epoch, index) for index in order[start : start + self.batch]]


def learning_rate_factor(settings: Mapping[str, Any], step: int, steps: int) -> float:
    """Learning rate of a step as a share of its peak.

    Args:
        settings: of the training. `schedule` is polynomial, (1 − t/T)^0.9 as in Ahn et al. 2019, sec. 6.1;
            one_cycle, a cosine from 1/25 to 1 in the first 30 % and another from there to 0 (Smith and Topin 2019);
            or steps, a tenth after each of `milestones`. In the first `warm_up` steps, where there is such a key,
            it rises from 0.
        step: t, from 0.
        steps: T.
    """
    warm_up: int = settings.get("warm_up", 0)
    return min(1.0, (step + 1) / max(warm_up, 1)) * _decay(settings, step, steps)


def _decay(settings: Mapping[str, Any], step: int, steps: int) -> float:
    if settings["schedule"] == "polynomial":
        return float((1 - step / steps) ** 0.9)
    if settings["schedule"] == "steps":
        return float(0.1 ** sum(step >= milestone for milestone in settings["milestones"]))
    peak = WARM_UP * steps
    if step < peak:
        return START + (1 - START) * _cosine(step / peak)
    return 1 - _cosine((step - peak) / (steps - peak))


def _cosine(progress: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * progress)) / 2
