"""The plan: a graph of artifacts, what each depends on, and where it lies.

`planner.make_plan` makes it; the Snakefile, `status` and the tables all read this one graph. An artifact's recipe is
a hash of everything its bytes may depend on, and its path is its recipe; so nothing stale can be used, and configs
share what they share.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from irnet_pipe.data.image_list import (
    LIST_NAME,
    canonical_json,
    digest_text,
)
from irnet_pipe.recipes import INDEX, Parent, Record
from irnet_pipe.stage_table import STAGES


@dataclass(frozen=True)
class Artifact:
    """One file between stages.

    Attributes:
        stage: the stage that makes it.
        unit: a shard such as `train-03-of-08`, or `all`.
        spec: canonical JSON of what the stage may depend on, parents apart.
        parents: artifacts that the stage reads.
        label: for people (stage, unit, seed, variant); not hashed.
        images: digests of the image lists that the stage reads.
        files: config path → path of a file from outside; its digest is in the spec, its place is not.
    """

    stage: str
    unit: str
    spec: str
    parents: tuple[Artifact, ...]
    label: str
    images: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    @cached_property
    def recipe(self) -> str:
        """First 16 hex digits of sha256 over stage, version, unit, spec and the parents' recipes."""
        parents = [parent.recipe for parent in self.parents]
        return digest_text(
            canonical_json([self.stage, STAGES[self.stage].version, self.unit, self.spec, parents])
        )

    @property
    def path(self) -> str:
        """Path below the results folder."""
        return f"{self.stage}/{self.unit}.{self.recipe}.{STAGES[self.stage].ext}"

    @property
    def record(self) -> Record:
        """What the stage is told."""
        return Record(
            recipe=self.recipe,
            stage=self.stage,
            version=STAGES[self.stage].version,
            unit=self.unit,
            label=self.label,
            path=self.path,
            spec=json.loads(self.spec),
            parents=tuple(Parent(p.stage, p.unit, p.recipe, p.path) for p in self.parents),
            images=tuple(f"{INDEX}/{digest}/{LIST_NAME}" for digest in self.images),
            files=dict(self.files),
        )


@dataclass(frozen=True)
class Plan:
    """All artifacts of a run, parents before children."""

    artifacts: tuple[Artifact, ...]

    @property
    def targets(self) -> list[Artifact]:
        """The publication of each setting."""
        return self.of("publish")

    def up_to(self, targets: Iterable[Artifact]) -> Plan:
        """Some artifacts and what they are made of, nothing else."""
        kept = {artifact.recipe for artifact in targets}
        for artifact in reversed(self.artifacts):
            if artifact.recipe in kept:
                kept |= {parent.recipe for parent in artifact.parents}
        return Plan(tuple(artifact for artifact in self.artifacts if artifact.recipe in kept))

    def of(self, stage: str) -> list[Artifact]:
        """Artifacts of one stage, in the order of their units."""
        return [artifact for artifact in self.artifacts if artifact.stage == stage]


def join_plans(plans: Iterable[Plan]) -> Plan:
    """One plan of several settings: what they share is in it once."""
    artifacts = {artifact.recipe: artifact for plan in plans for artifact in plan.artifacts}
    return Plan(tuple(artifacts.values()))
