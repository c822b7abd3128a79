"""A status as lines for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from irnet_pipe.differences import LIST, ListChange
from irnet_pipe.plan import Artifact
from irnet_pipe.status import Reason, StageStatus, Status

MOST_PARENTS = 3


def lines(status: Status) -> Iterator[str]:
    """One line per publication, then a table of the stages."""
    jobs = sum(len(stage.to_do) for stage in status.stages)
    for path, done in status.publications.items():
        yield f"{path}: {'published' if done else 'to be published'}"
    yield f"jobs to run: {jobs}"
    rows = [("stage", "state", "there", "why")]
    rows += [(s.stage, s.state, f"{s.present}/{s.total}", "; ".join(_why(s))) for s in status.stages]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for stage, state, there, why in rows:
        yield f"{stage:<{widths[0]}}  {state:<{widths[1]}}  {there:>{widths[2]}}  {why}".rstrip()


@dataclass
class _Group:
    """Artifacts of a stage that are not there for one reason."""

    artifacts: list[Artifact] = field(default_factory=list)
    images: dict[str, ListChange] = field(default_factory=dict)
    """Unit → what became of its images: the variants of a unit share them."""


def _why(stage: StageStatus) -> Iterator[str]:
    groups: dict[str, _Group] = {}
    for artifact, reason in stage.to_do:
        group = groups.setdefault(_text(reason), _Group())
        group.artifacts.append(artifact)
        if reason.images:
            group.images[artifact.unit] = reason.images
    for text, group in groups.items():
        images = [str(sum(group.images.values(), ListChange(0, 0, 0)))] if group.images else []
        told = ", ".join([*images, *filter(None, [text])])
        yield told + ("" if len(group.artifacts) == stage.total else f" ({_units(group.artifacts)})")
    if stage.lost:
        yield f"{len(stage.lost)} lost, not needed"


def _text(reason: Reason) -> str:
    """A reason, but for numbers of images, which are summed up over the shards."""
    if reason.kind == "changed":
        told = [str(difference) for difference in reason.differences if difference.key != LIST]
        if reason.images is None and len(told) < len(reason.differences):
            told.append("images: another list")
        return ", ".join(told)
    more = ", …" if len(reason.parents) > MOST_PARENTS else ""
    parents = f"parents: {', '.join(reason.parents[:MOST_PARENTS])}{more}"
    words = {"lost": "lost", "new": "never made", "parents": parents}
    return words[reason.kind]


def _units(artifacts: list[Artifact]) -> str:
    units = {artifact.unit for artifact in artifacts}
    return units.pop() if len(units) == 1 and units != {"all"} else f"{len(artifacts)} artifacts"


def as_json(status: Status) -> dict[str, Any]:
    """A status as plain JSON; docs/reruns.md describes it."""
    return {
        "done": status.done,
        "publications": [{"path": path, "done": done} for path, done in status.publications.items()],
        "jobs": sum(len(stage.to_do) for stage in status.stages),
        "stages": [
            {
                "stage": stage.stage,
                "state": stage.state,
                "total": stage.total,
                "present": stage.present,
                "to_do": [_missing_json(artifact, reason) for artifact, reason in stage.to_do],
                "lost": [artifact.path for artifact in stage.lost],
            }
            for stage in status.stages
        ],
    }


def _missing_json(artifact: Artifact, reason: Reason) -> dict[str, Any]:
    images = reason.images
    return {
        "unit": artifact.unit,
        "label": artifact.label,
        "recipe": artifact.recipe,
        "reason": reason.kind,
        "nearest": reason.nearest,
        "differences": [{"key": d.key, "old": d.old, "new": d.new} for d in reason.differences],
        "images": images and {"new": images.new, "gone": images.gone, "changed": images.changed},
        "parents": list(reason.parents),
    }
