"""What the main process of a run does before the DAG: settings, index, plan, records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.config import Config, settings_of
from irnet_pipe.data.image_list import write_list
from irnet_pipe.errors import machine_faults_told
from irnet_pipe.index import Index, build_index
from irnet_pipe.plan import Plan, image_lists, join_plans, make_plan
from irnet_pipe.recipes import INDEX, write_record


@dataclass(frozen=True)
class Prepared:
    """A run that can start: everything that its jobs read is on disk.

    Attributes:
        index: of the first setting.
        plan: of all settings.
    """

    index: Index
    plan: Plan


@machine_faults_told()
def prepare(config: Config) -> Prepared:
    """Index the data set, plan every setting, write image lists and records.

    Raises:
        InputError: every problem of the data set at once, or a fault of the machine such as a full disk.
    """
    results = Path(config.runtime.results)
    planned = list(_indexed(settings_of(config), results))
    plan = join_plans(make_plan(setting, index) for setting, index in planned)
    cuts = {(index, setting.shards.n): (setting, index) for setting, index in planned}
    for setting, index in cuts.values():
        for entries in image_lists(setting, index):
            write_list(results / INDEX, entries)
    for artifact in plan.artifacts:
        write_record(results, artifact.record)
    return Prepared(planned[0][1], plan)


def _indexed(settings: Iterable[Config], results: Path) -> Iterator[tuple[Config, Index]]:
    """Each setting with its index; settings that differ in later stages share one."""
    indexes: dict[Any, Index] = {}
    for setting in settings:
        weights = [(section.weights, section.trained) for section in (setting.cam, setting.irnet)]
        key = (setting.dataset, *weights)
        if key not in indexes:
            indexes[key] = build_index(setting, results=results)
        yield setting, indexes[key]
