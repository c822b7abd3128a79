"""What the main process of a run does before the DAG: config, index, plan, records."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import write_list
from irnet_pipe.data.scan import StatCache
from irnet_pipe.index import Index, build_index
from irnet_pipe.plan import Plan, image_lists, make_plan
from irnet_pipe.recipes import INDEX, write_record


@dataclass(frozen=True)
class PlannedRun:
    """A config, the data that it names, and what is to be made of them."""

    config: Config
    index: Index
    plan: Plan

    @property
    def results(self) -> Path:
        """Folder of the artifacts."""
        return Path(self.config.runtime.results)


def plan_for(config: Config, *, cache: StatCache | None = None) -> PlannedRun:
    """Index the data set and make the plan; writes no more than the index does.

    Args:
        config: of the run.
        cache: see `build_index`.

    Raises:
        InputError: every problem of the data set at once.
    """
    with _uncollected():
        index = build_index(config, results=Path(config.runtime.results), cache=cache)
        return PlannedRun(config, index, make_plan(config, index))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles, which goes through all entries of a large index again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def prepare(config: Config) -> PlannedRun:
    """Plan a run and write image lists and records: everything that its jobs read is then on disk.

    Raises:
        InputError: every problem of the data set at once.
    """
    run = plan_for(config)
    for entries in image_lists(config, run.index):
        write_list(run.results / INDEX, entries)
    for artifact in run.plan.artifacts:
        write_record(run.results, artifact.record)
    return run
