"""What the ranks of a distributed training compute together; in one process all of it leaves values as they are.

Ranks have equal parts of a batch, and `DistributedDataParallel` averages their gradients. So each rank's loss is such
that the mean over ranks is the loss of the global batch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from irnet_pipe.errors import PeerLost
from irnet_pipe.runtime.ranks import Ranks


@contextmanager
def process_group(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Within the block, ranks compute together: by NCCL on CUDA, by gloo on the CPU.

    Raises:
        PeerLost: another rank has gone within the block.
    """
    if ranks.size == 1:
        yield
        return
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    backend = "nccl" if cuda else "gloo"
    try:
        dist.init_process_group(backend, store=ranks.store, rank=ranks.rank, world_size=ranks.size)
        try:
            yield
        finally:
            dist.destroy_process_group()
    except RuntimeError as error:
        if not _tells_of_a_lost_peer(error):
            raise
        reason = str(error).partition("\n")[0]
        raise PeerLost(f"rank {ranks.rank}: the connection to another rank is lost ({reason})") from None


def _tells_of_a_lost_peer(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


def n_ranks() -> int:
    """Ranks that compute together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum of each element over ranks; its gradient is that of the sum of all ranks' losses."""
    if n_ranks() == 1:
        return values
    total: Tensor = differentiable.all_reduce(values)  # type: ignore[no-untyped-call]
    return total


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of each element over ranks, with the gradient of `sum_over_ranks`."""
    return sum_over_ranks(values) / n_ranks()


def largest_of_ranks(value: int, device: torch.device) -> int:
    """Largest of the ranks' values."""
    if n_ranks() == 1:
        return value
    largest = torch.tensor(value, device=device)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


def from_leader(content: Any, device: torch.device) -> Any:
    """What rank 0 gives, for all ranks: tensors (on the CPU) and plain values."""
    if n_ranks() == 1:
        return content
    leads, buffer = dist.get_rank() == 0, io.BytesIO()
    if leads:
        torch.save(content, buffer)
    size = torch.tensor(buffer.tell(), device=device)
    dist.broadcast(size, 0)
    sent = torch.empty(int(size), dtype=torch.uint8, device=device)
    if leads:
        sent.copy_(torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8))
    dist.broadcast(sent, 0)
    return torch.load(io.BytesIO(sent.cpu().numpy().tobytes()), map_location="cpu", weights_only=True)


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, whose gradients become means over ranks in the backward pass; it begins as that of rank 0."""
    if n_ranks() == 1:
        return model
    # statistics of batches are those of all ranks: nothing to broadcast
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)
