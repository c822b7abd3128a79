"""What a training does when: the learning rate of each step, and the samples of each batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from irnet_pipe.runtime.seeding import generator

SampleKey = tuple[int, int]
"""(epoch, index): a sample is drawn anew in each epoch."""

WARM_UP = 0.3
START = 1 / 25


@dataclass(frozen=True)
class Schedule:
    """Steps of a training: `epochs` passes over `samples` in batches; an incomplete last batch is dropped."""

    samples: int
    batch: int
    epochs: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.samples // self.batch

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.steps_per_epoch * self.epochs

    def epoch(self, step: int) -> int:
        """Epoch that a step belongs to, from 0."""
        return step // self.steps_per_epoch

    def batches(self, first: int, *, seed: int, stage: str) -> Iterator[list[SampleKey]]:
        """Samples of each step from `first` on; an epoch's order depends on (seed, stage, epoch) alone."""
        for epoch in range(self.epoch(first), self.epochs):
            order = generator(seed, stage, epoch, "order").permutation(self.samples).tolist()
            for step in range(max(first, epoch * self.steps_per_epoch), (epoch + 1) * self.steps_per_epoch):
                start = step % self.steps_per_epoch * self.batch
                yield [(epoch, index) for index in order[start : start + self.batch]]


def learning_rate_factor(name: str, step: int, steps: int) -> float:
    """Learning rate of a step as a share of its peak.

    Args:
        name: polynomial, (1 − t/T)^0.9 as in Ahn et al. 2019, sec. 6.1; or one_cycle, a cosine from 1/25 to 1
            in the first 30 % and another from there to 0 (Smith and Topin 2019).
        step: t, from 0.
        steps: T.
    """
    if name == "polynomial":
        return float((1 - step / steps) ** 0.9)
    peak = WARM_UP * steps
    if step < peak:
        return START + (1 - START) * _cosine(step / peak)
    return 1 - _cosine((step - peak) / (steps - peak))


def _cosine(progress: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * progress)) / 2
