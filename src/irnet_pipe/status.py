"""What of a run is there, what is to be done, and why; from the plan alone, before snakemake is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from irnet_pipe.artifact_files import artifact_files, shards_of
from irnet_pipe.data.image_list import ImageEntry, read_list
from irnet_pipe.differences import (
    LIST,
    Difference,
    ListChange,
    changed_parents,
    compare_lists,
    differences,
)
from irnet_pipe.errors import InputError
from irnet_pipe.plan import Artifact
from irnet_pipe.recipes import (
    BENCHMARKS,
    MARKERS,
    Record,
    published_files,
    read_record,
    record_path,
)
from irnet_pipe.stage_table import STAGES
from irnet_pipe.workflow import PlannedRun


@dataclass(frozen=True)
class Reason:
    """Why an artifact is not there.

    Attributes:
        kind: `changed` (keys differ from the nearest recipe that is there), `parents` (parents alone differ),
            `lost` (it was there) or `new` (there is none like it).
        nearest: the recipe that is there.
        differences: keys, of kind `changed`.
        images: what became of the image list, if that is among the keys and the old list is still there.
        parents: stages of the parents that differ, of kind `parents`.
    """

    kind: str
    nearest: str | None = None
    differences: tuple[Difference, ...] = ()
    images: ListChange | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run.

    Attributes:
        stage: its name.
        total: artifacts that the run is made of.
        to_do: those that snakemake would make, and why.
        lost: those that are not there and that nothing to be made needs.
    """

    stage: str
    total: int
    to_do: tuple[tuple[Artifact, Reason], ...]
    lost: tuple[Artifact, ...]

    @property
    def present(self) -> int:
        """Artifacts that are there."""
        return self.total - len(self.to_do) - len(self.lost)

    @property
    def state(self) -> str:
        """`done`, `partial` or `missing`."""
        if not self.to_do:
            return "done"
        return "partial" if self.present else "missing"


@dataclass(frozen=True)
class Status:
    """A run: its publications (folder → whether it is there), and its stages in the order of the pipeline."""

    publications: dict[str, bool]
    stages: tuple[StageStatus, ...]

    @property
    def done(self) -> bool:
        """Whether all that people open is there."""
        return all(self.publications.values())


def status_of(run: PlannedRun) -> Status:
    """Compare a plan with what is there; nothing is opened but recipes and image lists."""
    folder = Folder(run)
    targets = run.plan.targets
    whole = ancestors(targets)
    jobs = jobs_to_run(targets, folder.has)
    present = [artifact for artifact in whole.values() if folder.has(artifact)]
    explain = _Explainer(run, folder, made=ancestors(present))
    stages = []
    for stage in STAGES:
        artifacts = [artifact for artifact in run.plan.of(stage) if artifact.recipe in whole]
        absent = [artifact for artifact in artifacts if not folder.has(artifact)]
        to_do = tuple((a, explain.reason(a)) for a in absent if a.recipe in jobs)
        lost = tuple(a for a in absent if a.recipe not in jobs)
        if artifacts:
            stages.append(StageStatus(stage, len(artifacts), to_do, lost))
    return Status({str(folder.published(t)): folder.has(t) for t in targets}, tuple(stages))


def ancestors(artifacts: Iterable[Artifact]) -> dict[str, Artifact]:
    """Recipe → artifact, of some artifacts and all that they are made of."""
    return jobs_to_run(artifacts, lambda artifact: False)


def jobs_to_run(targets: Iterable[Artifact], exists: Callable[[Artifact], bool]) -> dict[str, Artifact]:
    """Recipe → artifact that snakemake would make for the targets.

    An artifact that exists is a leaf: what it was made of is not looked at.
    """
    jobs: dict[str, Artifact] = {}
    todo = list(targets)
    while todo:
        artifact = todo.pop()
        if artifact.recipe not in jobs and not exists(artifact):
            jobs[artifact.recipe] = artifact
            todo += artifact.parents
    return jobs


class Folder:
    """Which artifacts of a run are there: one listing per stage."""

    def __init__(self, run: PlannedRun) -> None:
        self._results = run.results
        self._outputs = Path(run.config.runtime.outputs)
        self._recipes: dict[str, dict[str, list[str]]] = {}

    def published(self, publication: Artifact) -> Path:
        """Folder of a publication."""
        return self._outputs / str(publication.record.spec["run"])

    def has(self, artifact: Artifact) -> bool:
        """Whether an artifact or a publication is there."""
        if artifact.stage == "publish":
            folder = self.published(artifact)
            return all((folder / name).exists() for name in published_files(artifact.record))
        return artifact.recipe in self.of_stage(artifact.stage).get(artifact.unit, ())

    def of_stage(self, stage: str) -> dict[str, list[str]]:
        """Unit → recipes that are there."""
        if stage not in self._recipes:
            units: dict[str, list[str]] = {}
            for file in artifact_files(self._results, stage):
                units.setdefault(file.unit, []).append(file.recipe)
            self._recipes[stage] = units
        return self._recipes[stage]

    def like(self, artifact: Artifact) -> list[str]:
        """Recipes of an artifact's stage and unit that are there; of a publication, those of its markers."""
        if artifact.stage == "publish":
            markers = sorted(self.published(artifact).glob(MARKERS))
            return [path.stem.rpartition("-")[2] for path in markers]
        return self.of_stage(artifact.stage).get(artifact.unit, [])


@dataclass(frozen=True)
class _Explainer:
    """Finds why artifacts are not there.

    Attributes:
        run: the plan.
        folder: what is there.
        made: artifacts that were there once, since others are made of them.
    """

    run: PlannedRun
    folder: Folder
    made: dict[str, Artifact]
    records: dict[str, Record | None] = field(default_factory=dict)
    changes: dict[tuple[tuple[str, ...], tuple[str, ...]], ListChange | None] = field(default_factory=dict)

    def reason(self, artifact: Artifact) -> Reason:
        """The shortest explanation for one artifact."""
        new = artifact.record
        benchmark = self.run.results / BENCHMARKS / artifact.stage / f"{artifact.unit}.{artifact.recipe}.tsv"
        there = self.folder.like(artifact)
        if artifact.recipe in self.made or artifact.recipe in there or benchmark.exists():
            return Reason("lost")
        candidates = [self.record(recipe) for recipe in there]
        like = [old for old in candidates if old and old.spec.get("variant") == new.spec.get("variant")]
        if not like:
            return self.without_like(artifact)
        old = min(like, key=lambda old: (len(differences(old, new)), len(changed_parents(old, new))))
        found = tuple(differences(old, new))
        if not found:
            return Reason("parents", old.recipe, parents=changed_parents(old, new))
        listed = any(difference.key == LIST for difference in found)
        return Reason("changed", old.recipe, found, self.images(old, new) if listed else None)

    def without_like(self, artifact: Artifact) -> Reason:
        """There is none of the unit: other shards may be there."""
        n = shards_of(artifact.unit)
        others = set(filter(None, map(shards_of, self.folder.of_stage(artifact.stage))))
        if n is None or n in others or not others:
            return Reason("new")
        return Reason("changed", differences=(Difference("shards.n", min(others), n),))

    def record(self, recipe: str) -> Record | None:
        """Record of a recipe; None where it is gone."""
        if recipe not in self.records:
            try:
                self.records[recipe] = read_record(record_path(self.run.results, recipe))
            except InputError:
                self.records[recipe] = None
        return self.records[recipe]

    def images(self, old: Record, new: Record) -> ListChange | None:
        """What became of the images; None where the old list is gone."""
        key = old.images, new.images
        if key not in self.changes:
            before, after = (self.entries(record.images) for record in (old, new))
            known = before is not None and after is not None
            self.changes[key] = compare_lists(before or (), after or ()) if known else None
        return self.changes[key]

    def entries(self, lists: Sequence[str]) -> list[ImageEntry] | None:
        """Images of the lists at these paths below the results folder; those of the plan need not be written."""
        entries: list[ImageEntry] = []
        try:
            for path in lists:
                planned = self.planned.get(path.split("/")[1])
                entries += read_list(self.run.results / path) if planned is None else planned
        except InputError:
            return None
        return entries

    @cached_property
    def planned(self) -> dict[str, tuple[ImageEntry, ...]]:
        """Digest → image list of the plan."""
        return self.run.image_lists
