"""The device a job computes on, and the precision of its networks."""

from __future__ import annotations

import torch

from irnet_pipe.errors import InputError

AUTOCAST_TYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def use_device(name: str, *, number: int | None = None) -> torch.device:
    """Resolve a device.

    Args:
        name: auto (CUDA where there is any), cpu, cuda or cuda:N.
        number: of the CUDA device, where the name has none.

    Raises:
        InputError: no such name, or a CUDA device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if number is None:
            return torch.device(name)
    if name == "cuda" and number is not None:
        name = f"cuda:{number}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"runtime.device: {name!r} is no device; set auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device: {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices; set auto or "
            "cpu, or check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES"
        )
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context in which networks compute in a precision: fp32, bf16 or fp16.

    Raises:
        InputError: fp16 on a CPU.
    """
    if precision == "fp16" and device.type == "cpu":
        raise InputError("precision: fp16 needs a CUDA device; set bf16 or fp32 to compute on a CPU")
    dtype = AUTOCAST_TYPES[precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
