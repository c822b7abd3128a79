"""Memory that does not suffice: smaller batches, messages that name what to change; and memory that is given back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from irnet_pipe.errors import InputError

GIVE_BACK_EVERY = 4
"""Photos between two requests to give back freed memory; one for each would cost 4 % of the time of infer_cam."""


def halving(batch: Tensor, function: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Apply a function to a batch, in halves where the device has no memory for the whole.

    Args:
        batch: (n, …).
        function: (m, …) → tensors (m, …), each row by its own row of the batch.

    Returns:
        Tensors (n, …), on the device.

    Raises:
        torch.OutOfMemoryError: there is no room for a single row.
    """
    try:
        return function(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    # Beyond the handler, whose traceback would keep what the failed attempt has left on the device.
    torch.cuda.empty_cache()
    size = "×".join(str(n) for n in batch.shape)
    sys.stderr.write(f"warning: out of memory on {batch.device} with a batch of {size}; halving it\n")
    halves = [halving(half, function) for half in batch.tensor_split(2)]
    return tuple(torch.cat(parts) for parts in zip(*halves, strict=True))


def too_large_photo(path: Path, *, size: tuple[int, int], keys: str) -> str:
    """Message for `explain_out_of_memory`.

    Args:
        path: of the photo.
        size: (H, W) that it is processed at, pixels.
        keys: of the config, that would make it smaller.
    """
    height, width = size
    return (
        f"{path}: the device does not have the memory for one image of {height}×{width} pixels; lower {keys}, or set "
        "runtime.device: cpu"
    )


@contextmanager
def explain_out_of_memory(message: str) -> Iterator[None]:
    """Within the block, a lack of memory on a device becomes an InputError.

    Args:
        message: what does not fit, and which keys to change.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise InputError(f"{message}; `nvidia-smi` lists other processes on the device") from None


def give_back_freed() -> None:
    """Hand freed memory back to the system, where the C library is glibc; elsewhere do nothing.

    oneDNN keeps small blocks for each image size that it meets. They lie between large blocks, and glibc keeps what
    these leave: a process that meets many sizes would grow and grow.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
