"""Start of the ranks of a training on this machine, by torchrun, with the exit codes and messages of one process."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence

from irnet_pipe.errors import EXIT_INTERRUPTED, InputError
from irnet_pipe.runtime.interrupt import SIGNALS

STOP_SECONDS = 90
"""Time to finish a step and save the state, once told to stop; what takes longer is killed."""


def start_ranks(number: int, words: Sequence[str]) -> int:
    """Run a verb of the command line in so many ranks.

    Args:
        number: of ranks.
        words: the command line, without the program.

    Returns:
        Exit code of the rank that failed first, 0 where none has.

    Raises:
        InputError: a rank was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.ERROR)  # the ranks speak for themselves
    options = parse_args(  # type: ignore[no-untyped-call]
        ["--standalone", f"--nproc-per-node={number}", "-m", "irnet_pipe", *words]
    )
    options.signals_to_handle = ",".join(known.name for known in SIGNALS)
    options.shutdown_timeout = STOP_SECONDS
    try:
        run(options)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            return failure.exitcode
        raise InputError(
            f"{words[0]}: rank {rank} of {number} was ended by {signal.Signals(-failure.exitcode).name}, most likely "
            f"because memory ran out; give the job more memory (set-resources: {words[0]}: mem_mb in the profile) or "
            "lower runtime.workers, then run again: the training goes on from its last checkpoint"
        ) from None
    except SignalException:
        return EXIT_INTERRUPTED
    return 0
