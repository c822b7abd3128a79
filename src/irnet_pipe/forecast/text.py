"""An estimate as lines for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from irnet_pipe.artifact_files import size_text
from irnet_pipe.forecast.estimate import CALIBRATED, EARLIER, GENERAL, Estimate, StageEstimate
from irnet_pipe.runtime.progress import duration

HEAD = ("stage", "jobs", "there", "time", "memory", "disk", "by")


def lines(found: Estimate) -> Iterator[str]:
    """A table of the stages, the total, and what will not do."""
    if not found.jobs:
        yield "nothing to do: the run is published"
        return
    rows = [HEAD, *(_row(stage) for stage in found.stages), _total(found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        yield f"{row[0]:<{widths[0]}}  {numbers}  {row[-1]}".rstrip()
    machine = f"{found.cores} cores" + (f", {found.gpus} GPUs" if found.gpus else "")
    yield f"on {machine}: about {duration(found.wall_seconds)}"
    memory, there = size_text(round(found.memory)), size_text(round(found.memory_there))
    yield f"memory: about {memory} at once, the machine has {there}"
    yield f"disk: about {size_text(round(found.disk))} with checkpoints, {size_text(round(found.disk_there))} free"
    yield from _notes(found)
    yield from (f"warning: {line}" for line in warnings(found))


def _row(stage: StageEstimate) -> tuple[str, ...]:
    there = f"{stage.there}/{stage.total}"
    if not stage.to_do:
        return (stage.stage, "0", there, "", "", "", "")
    sizes = (size_text(round(size)) for size in (stage.memory, stage.disk))
    return (stage.stage, str(stage.to_do), there, duration(stage.seconds), *sizes, ", ".join(stage.sources))


def _total(found: Estimate) -> tuple[str, ...]:
    seconds = duration(sum(stage.seconds for stage in found.stages))
    disk = size_text(round(sum(stage.disk for stage in found.stages)))
    return ("all", str(found.jobs), "", seconds, "", disk, "")


def _notes(found: Estimate) -> Iterator[str]:
    sources = {source for stage in found.stages for source in stage.sources if stage.stage != "publish"}
    told = {
        EARLIER: f"{EARLIER}: what jobs of this results folder took on this machine",
        CALIBRATED: f"{CALIBRATED}: jobs on a few of the photos, kept in {found.kept_in}",
        GENERAL: f"{GENERAL}: of a machine of two cores, nothing was measured on this one; off by a factor of several",
    }
    yield from (told[source] for source in told if source in sources)


def warnings(found: Estimate) -> Iterator[str]:
    """What the machine does not have."""
    largest = max(found.stages, key=lambda stage: stage.memory)
    there = size_text(round(found.memory_there))
    if largest.memory > found.memory_there:
        needed = size_text(round(largest.memory))
        yield (
            f"a job of {largest.stage} needs about {needed} of memory, the machine has {there}; lower batch or crop of "
            "the training, dataset.working_long_side, or the largest of cam.infer.scales"
        )
    elif found.memory > found.memory_there:
        needed, megabytes = size_text(round(found.memory)), round(0.9 * found.memory_there / 1e6)
        yield (
            f"jobs at once need about {needed} of memory, the machine has {there}; run with fewer --cores, or with "
            f"--resources mem_mb={megabytes}"
        )
    if found.disk > found.disk_there:
        needed, free = size_text(round(found.disk)), size_text(round(found.disk_there))
        yield (
            f"the run writes about {needed}, {free} are free; free some, or set runtime.results to another disk"
        )


def as_json(found: Estimate) -> dict[str, Any]:
    """An estimate as plain JSON; docs/plan.md describes it."""
    return {
        "jobs": found.jobs,
        "cores": found.cores,
        "gpus": found.gpus,
        "wall_seconds": round(found.wall_seconds, 1),
        "seconds": round(sum(stage.seconds for stage in found.stages), 1),
        "cpu_seconds": round(sum(stage.cpu_seconds for stage in found.stages), 1),
        "memory": round(found.memory),
        "memory_there": round(found.memory_there),
        "disk": round(found.disk),
        "disk_there": round(found.disk_there),
        "warnings": list(warnings(found)) if found.jobs else [],
        "stages": [
            {
                "stage": stage.stage,
                "total": stage.total,
                "there": stage.there,
                "to_do": stage.to_do,
                "seconds": round(stage.seconds, 1),
                "cpu_seconds": round(stage.cpu_seconds, 1),
                "memory": round(stage.memory),
                "disk": round(stage.disk),
                "by": list(stage.sources),
            }
            for stage in found.stages
        ],
    }
