"""A training from its task to its weights file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.runtime.job import Job
from irnet_pipe.training.checkpoint import Checkpoints
from irnet_pipe.training.loop import Task, train


def train_and_write(
    task: Task, job: Job, *, header: Mapping[str, Any], network: nn.Module | None = None
) -> None:
    """Train and, as rank 0, write the weights and delete the checkpoints.

    Args:
        task: what is trained.
        job: of the trainer.
        header: of the file, recipe and spec apart.
        network: part of the model whose state is written; all of it if None.

    Raises:
        InputError, Interrupted, PeerLost: see `train`.
    """
    history = train(task, job)
    if not job.ranks.leads:
        return
    state_dict = (network or task.model).state_dict()
    header = {**header, "recipe": job.record.recipe, "spec": job.record.spec}
    write_weights(job.output, header=header, state_dict=state_dict, history=history)
    Checkpoints(job.work, recipe=job.record.recipe).clear()
