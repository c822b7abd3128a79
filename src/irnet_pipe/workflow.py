"""What the main process of a run does before the DAG: settings, index, plan, records."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.config import Config, settings_of
from irnet_pipe.data.image_list import ImageEntry, write_list
from irnet_pipe.data.scan import StatCache
from irnet_pipe.data.truth_list import TruthUses
from irnet_pipe.errors import machine_faults_told
from irnet_pipe.index import Index, build_index
from irnet_pipe.plan import Plan
from irnet_pipe.planner import image_lists, make_plan
from irnet_pipe.recipes import INDEX, write_record
from irnet_pipe.sweep_plan import plan_sweep
from irnet_pipe.tables.plan import plan_tables
from irnet_pipe.tables.settings import check_unseen, table_settings


@dataclass(frozen=True)
class PlannedRun:
    """A config, the data that it names, and what is to be made of them.

    Attributes:
        config: as given.
        settings: those that it stands for, each with the index of its data set.
        plan: of all settings.
    """

    config: Config
    settings: tuple[tuple[Config, Index], ...]
    plan: Plan

    @property
    def results(self) -> Path:
        """Folder of the artifacts."""
        return Path(self.config.runtime.results)

    @property
    def index(self) -> Index:
        """Of the first setting."""
        return self.settings[0][1]

    @property
    def image_lists(self) -> dict[str, tuple[ImageEntry, ...]]:
        """Every image list that the plan refers to, by its digest."""
        return {
            digest: entries
            for setting, index in self.settings
            for digest, entries in image_lists(setting, index).items()
        }

    @property
    def truths(self) -> set[str]:
        """Digests of the lists of ground truth."""
        lists = [truth for _, index in self.settings for truth in (index.truth, index.train_truth)]
        return {truth.digest for truth in lists if truth is not None}


@machine_faults_told()
def plan_for(config: Config, *, cache: StatCache | None = None) -> PlannedRun:
    """Index the data set and plan every setting; writes no more than the index does.

    Args:
        config: of the run.
        cache: see `build_index`.

    Raises:
        InputError: every problem of the data set at once, or a fault of the machine such as a full disk.
    """
    with _uncollected():
        settings = tuple(_indexed(((setting, None) for setting in settings_of(config)), cache))
        plans = [(setting, make_plan(setting, index)) for setting, index in settings]
        return PlannedRun(config, settings, plan_sweep(plans))


@machine_faults_told()
def plan_tables_for(config: Config, *, cache: StatCache | None = None) -> PlannedRun:
    """Index the data set and plan the tables that a config asks for, see `plan_for`.

    Raises:
        InputError: every problem of the keys, or of the data set.
    """
    with _uncollected():
        chosen = table_settings(config)
        settings = tuple(_indexed(((setting.config, setting.uses) for setting in chosen), cache))
        for setting, (_, index) in zip(chosen, settings, strict=True):
            check_unseen(setting, index)
        plans = (make_plan(*indexed) for indexed in settings)
        return PlannedRun(config, settings, plan_tables(config.run, zip(chosen, plans, strict=True)))


def prepare(config: Config) -> PlannedRun:
    """Plan a run and write image lists and records: everything that its jobs read is then on disk.

    Raises:
        InputError: see `plan_for`.
    """
    return _written(plan_for(config))


def prepare_tables(config: Config) -> PlannedRun:
    """Plan the tables of a config and write image lists and records, see `prepare`.

    Raises:
        InputError: see `plan_tables_for`.
    """
    return _written(plan_tables_for(config))


@machine_faults_told()
def _written(run: PlannedRun) -> PlannedRun:
    for digest, entries in run.image_lists.items():
        write_list(run.results / INDEX, entries, digest=digest)
    for artifact in run.plan.artifacts:
        write_record(run.results, artifact.record)
    return run


def _indexed(
    settings: Iterable[tuple[Config, TruthUses | None]], cache: StatCache | None
) -> Iterator[tuple[Config, Index]]:
    """Each setting with its index; settings that differ in later stages share one."""
    indexes: dict[Any, Index] = {}
    for setting, uses in settings:
        weights = [(section.weights, section.trained) for section in (setting.cam, setting.irnet)]
        segmenters = [getattr(setting, name) for name in setting.segmenters]
        learnt = [(model.weights, model.training.source == "truth") for model in segmenters]
        affinitynet = setting.affinitynet.weights if "affinitynet" in setting.mask_sources else None
        key = (setting.dataset, setting.review, *weights, affinitynet, setting.segmenters, *learnt, uses)
        if key not in indexes:
            results = Path(setting.runtime.results)
            indexes[key] = build_index(setting, results=results, cache=cache, uses=uses)
        yield setting, indexes[key]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for cycles, which goes through all entries of a large index again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
