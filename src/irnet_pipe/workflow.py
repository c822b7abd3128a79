"""What the main process of a run does before the DAG: config, index, plan, records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import write_list
from irnet_pipe.errors import machine_faults_told
from irnet_pipe.index import Index, build_index
from irnet_pipe.plan import Plan, image_lists, make_plan
from irnet_pipe.recipes import INDEX, write_record


@dataclass(frozen=True)
class Prepared:
    """A run that can start: everything that its jobs read is on disk."""

    config: Config
    index: Index
    plan: Plan


@machine_faults_told()
def prepare(config: Config) -> Prepared:
    """Index the data set, make the plan, write image lists and records.

    Raises:
        InputError: every problem of the data set at once, or a fault of the machine such as a full disk.
    """
    results = Path(config.runtime.results)
    index = build_index(config, results=results)
    plan = make_plan(config, index)
    for entries in image_lists(config, index):
        write_list(results / INDEX, entries)
    for artifact in plan.artifacts:
        write_record(results, artifact.record)
    return Prepared(config, index, plan)
