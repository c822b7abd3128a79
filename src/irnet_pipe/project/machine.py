"""The machine that `init` fits a schedule to."""

from __future__ import annotations

import torch

from irnet_pipe import resources, training_memory
from irnet_pipe.errors import InputError
from irnet_pipe.project.schedule import Machine, cpu, gpu


def chosen_machine(gpu_gib: float | None = None) -> Machine:
    """The first CUDA device, or the CPU where there is none; or what the user says of the machine that will train.

    Args:
        gpu_gib: memory of its CUDA device, GiB; 0 for none.

    Raises:
        InputError: a negative memory.
    """
    if gpu_gib is not None and gpu_gib < 0:
        raise InputError(f"--gpu {gpu_gib:g}: expected GiB of memory, or 0 for a machine without GPU")
    if gpu_gib:
        return gpu(f"a GPU of {gpu_gib:g} GiB", round(gpu_gib * resources.GIB))
    if gpu_gib is None and torch.cuda.is_available():
        device = torch.device("cuda", 0)
        return gpu(torch.cuda.get_device_name(device), training_memory.memory_total(device))
    return cpu(training_memory.memory_total(torch.device("cpu")))
