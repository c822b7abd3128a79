"""How long jobs take together on the cores and GPUs of a machine, as Snakemake would start them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

START_SECONDS = 4.0
"""Until the first job: Snakemake is loaded, the data set indexed, the graph built."""
BETWEEN_SECONDS = 1.2
"""Of each job beyond its own time: Python is started, and Snakemake notices the end."""


@dataclass(frozen=True)
class Task:
    """A job.

    Attributes:
        seconds: that it takes.
        threads: of the cores; of a smaller machine all.
        gpus: that it leases.
        memory: bytes.
        parents: positions of the tasks that end before.
    """

    seconds: float
    threads: int = 1
    gpus: int = 0
    memory: float = 0
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Makespan:
    """What tasks take together: seconds, and the greatest memory of those that run at once, bytes."""

    seconds: float
    memory: float


def makespan(tasks: Sequence[Task], *, cores: int, gpus: int = 0) -> Makespan:
    """Start whatever fits as soon as it fits, in the order of the tasks.

    Args:
        tasks: parents before children.
        cores: of the machine.
        gpus: likewise; a task that asks for more takes all.
    """
    children: list[list[int]] = [[] for _ in tasks]
    missing = [len(task.parents) for task in tasks]
    for number, task in enumerate(tasks):
        for parent in task.parents:
            children[parent].append(number)
    ready = [number for number, count in enumerate(missing) if not count]
    running: list[tuple[float, int]] = []
    free = _Free(cores, gpus)
    peak, now = 0.0, 0.0
    while ready or running:
        waiting = []
        while ready and free.cores:
            number = heapq.heappop(ready)
            if free.take(tasks[number]):
                heapq.heappush(running, (now + tasks[number].seconds + BETWEEN_SECONDS, number))
            else:
                waiting.append(number)
        for number in waiting:
            heapq.heappush(ready, number)
        peak = max(peak, free.memory_taken)
        now, number = heapq.heappop(running)
        free.give_back(tasks[number])
        for child in children[number]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, child)
    return Makespan(START_SECONDS + now if tasks else 0.0, peak)


class _Free:
    """What of a machine no task has taken."""

    def __init__(self, cores: int, gpus: int) -> None:
        self.all_cores = self.cores = cores
        self.all_gpus = self.gpus = gpus
        self.memory_taken = 0.0

    def take(self, task: Task) -> bool:
        """Take what a task asks for; False where it does not fit."""
        threads, gpus = self._asked(task)
        if threads > self.cores or gpus > self.gpus:
            return False
        self.cores, self.gpus = self.cores - threads, self.gpus - gpus
        self.memory_taken += task.memory
        return True

    def give_back(self, task: Task) -> None:
        """Undo `take`."""
        threads, gpus = self._asked(task)
        self.cores, self.gpus = self.cores + threads, self.gpus + gpus
        self.memory_taken -= task.memory

    def _asked(self, task: Task) -> tuple[int, int]:
        return min(task.threads, self.all_cores), min(task.gpus, self.all_gpus)
