"""Seeds and the settings of torch under which equal seeds give equal bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from irnet_pipe.data.image_list import canonical_json


def derive_seed(*parts: int | str) -> int:
    """A seed of 63 bits that depends on all parts and their order.

    What is drawn for a sample depends on (seed, stage, epoch, image_id) alone, so neither the number of
    workers nor an interruption changes it.
    """
    digest = hashlib.sha256(canonical_json(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str) -> np.random.Generator:
    """A generator seeded by `derive_seed`."""
    return np.random.default_rng(derive_seed(*parts))


@contextmanager
def reproducible(device: torch.device, *, threads: int) -> Iterator[None]:
    """Within the block, torch uses `threads` threads and, on a CPU, deterministic algorithms.

    Sums of gradients depend on how threads share the work, hence on their number. On CUDA, where some
    operations have no deterministic algorithm, runs agree up to rounding.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
