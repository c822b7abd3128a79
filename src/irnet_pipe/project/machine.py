"""The machine that `init` runs on, as a schedule sees it."""

from __future__ import annotations

import torch

from irnet_pipe import resources
from irnet_pipe.project.schedule import Machine, cpu, gpu


def this_machine() -> Machine:
    """The first CUDA device, or the CPU where there is none."""
    if torch.cuda.is_available():
        device = torch.device("cuda", 0)
        return gpu(torch.cuda.get_device_name(device), resources.memory_total(device))
    return cpu(resources.memory_total(torch.device("cpu")))
