"""What torchrun starts in tests: each rank runs the same jobs of trainers, one after another."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore

from irnet_pipe.errors import Interrupted
from irnet_pipe.recipes import read_record
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.ranks import Ranks
from irnet_pipe.training import loop


def run(recipe: Path, root: Path, *, ranks: Ranks, signal_at: int | None = None) -> str:
    """Run a job; returns why it stopped, if it did.

    Args:
        recipe: of the job; results are written below the folder that holds the recipes.
        root: of the photos.
        ranks: of this process.
        signal_at: step during which this process gets a signal.
    """
    record, results = read_record(recipe), recipe.parent.parent
    job = Job(record, results / record.path, results, root, device="cpu", ranks=ranks)
    plain = loop.load_batches

    def signalled(*arguments: Any, **options: Any) -> Iterator[Any]:
        with closing(plain(*arguments, **options)) as batches:
            for number, batch in enumerate(batches):
                if number == signal_at:
                    os.kill(os.getpid(), signal.SIGUSR1)
                yield batch

    loop.load_batches = signalled
    try:
        import_module(f"irnet_pipe.stages.{record.stage}").run(job)
    except Interrupted as error:
        return str(error)
    finally:
        loop.load_batches = plain
    return ""


def main() -> None:
    """Run the jobs of a file; rank 1 gets their signals. Writes why each stopped into a file of this rank."""
    path = Path(sys.argv[1])
    told = {}
    for name, job in json.loads(path.read_text(encoding="utf-8")).items():
        ranks = Ranks.of(os.environ)
        # what a rank tells of a job holds until its process ends: the next job needs a store of its own
        vars(ranks)["store"] = PrefixStore(name, ranks.store)
        signal_at = job["signal_at"] if ranks.rank == 1 else None
        told[name] = run(Path(job["recipe"]), Path(job["root"]), ranks=ranks, signal_at=signal_at)
    path.with_suffix(f".{ranks.rank}").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
