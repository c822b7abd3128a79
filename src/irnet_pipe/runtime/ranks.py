"""The ranks of a training: processes that torchrun has started, which share its batches. One alone is rank 0 of 1.

What ranks have to know of each other before and after they compute goes through torchrun's store. No torch here until
then: `CUDA_VISIBLE_DEVICES` has to be set before torch looks for devices.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from irnet_pipe.errors import EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED, InputError, Interrupted, PeerLost
from irnet_pipe.runtime.events import Events
from irnet_pipe.runtime.lease import lease

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")
POLL_SECONDS = 0.1
END_SECONDS = 10.0
"""How long a rank that ends waits for word of another, at most."""
PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


@dataclass(frozen=True)
class Ranks:
    """This process among the ranks of a training.

    Attributes:
        rank: its number; rank 0 leads: it alone writes.
        size: number of ranks.
        local_rank: its number on its node.
        local_size: number of ranks on its node.
        node: number of the node.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    node: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Ranks:
        """The ranks that torchrun tells of in the environment; one process where it has not started this one."""
        if "TORCHELASTIC_RUN_ID" not in environment:
            return cls()
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
        return cls(*(int(environment[name]) for name in names))

    @property
    def leads(self) -> bool:
        """Whether this process is rank 0."""
        return self.rank == 0

    @cached_property
    def store(self) -> Store:
        """Store of torchrun: what one rank sets, all can read."""
        from torch.distributed.rendezvous import rendezvous

        store: Store
        store, _, _ = next(rendezvous("env://"))
        return store

    def part(self, batch: list[T]) -> list[T]:
        """This rank's part of a global batch; all parts are equal, and in their order make the batch."""
        each = len(batch) // self.size
        return batch[self.rank * each : (self.rank + 1) * each]

    def tell(self, name: str, value: str) -> None:
        """Let the other ranks hear a value."""
        if self.size > 1:
            self.store.set(name, value)

    def hear(self, name: str, *, seconds: float = float("inf")) -> str | None:
        """Wait until another rank has told a value; None where it has not after `seconds`."""
        end = time.monotonic() + seconds
        while not self.store.check([name]):
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)
        return self.store.get(name).decode()

    @contextmanager
    def leased(self, wanted: str, *, label: str, events: Events) -> Iterator[str]:
        """`lease` of a device for each rank of this node, taken by its first; each rank sees all of them."""
        name, variable = f"devices of node {self.node}", "CUDA_VISIBLE_DEVICES"
        if self.local_rank == 0:
            with lease(wanted, label=label, events=events, number=self.local_size) as device:
                self.tell(name, json.dumps(os.environ.get(variable)))
                yield device
        else:
            visible = json.loads(self.hear(name) or "null")
            if visible is not None:
                os.environ[variable] = visible
            yield wanted

    def end(self, error: InputError | Interrupted | PeerLost) -> int:
        """Say why this process ends; of several ranks, the one that failed first says it for all.

        Returns:
            Exit code: that of the rank that failed first.
        """
        code, text = _ending(error)
        if self.size > 1:
            try:
                rank, code = self._first_to_end(code, lost=isinstance(error, PeerLost))
            except RuntimeError:  # torchrun has ended, and its store with it
                rank = self.rank
            if rank != self.rank:
                return code
        sys.stderr.write(text)
        return code

    def _first_to_end(self, code: int, *, lost: bool) -> tuple[int, int]:
        """Rank that failed first, and its exit code."""
        if lost:  # whoever has broken the connection is about to say why, or torchrun ends this process
            self.hear("first to end", seconds=END_SECONDS)
        first = self.store.compare_set("first to end", "", f"{self.rank} {code}").decode()
        if self.leads:
            self.tell("rank 0 has ended", "")
        elif not lost:  # torchrun ends all as soon as one has ended: rank 0 is to write its events before
            self.hear("rank 0 has ended", seconds=END_SECONDS)
        rank, code = map(int, first.split())
        return rank, code


def _ending(error: InputError | Interrupted | PeerLost) -> tuple[int, str]:
    """Exit code and what is said."""
    if isinstance(error, InputError):
        return EXIT_INPUT, "".join(f"error: {problem}\n" for problem in error.problems)
    if isinstance(error, Interrupted):
        return EXIT_INTERRUPTED, f"stopped: {error}\n"
    return EXIT_FAILED, f"error: {error}\n"


def end_with_parent() -> None:
    """From now on the death of torchrun tells this process to stop: it is in no process group that dies with it."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
