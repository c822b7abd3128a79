"""What a job took, as a start and a rate, so that it tells what a job of another size will take."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from irnet_pipe import __version__
from irnet_pipe.forecast.workload import Workload
from irnet_pipe.recipes import Record
from irnet_pipe.runtime.attempts import Attempt, attempts_with_progress
from irnet_pipe.stage_table import DEVICE_STAGES, TRAINERS

LOADED_MEMORY = 600 << 20
"""Of a process that has loaded torch and has no image yet, bytes."""


@dataclass(frozen=True)
class Measurement:
    """What jobs of one speed take.

    Attributes:
        start: seconds that do not grow with the images: imports, compiled code, first image, writing weights.
        rate: seconds a megapixel.
        cpu_start: processor seconds likewise, loading processes included.
        cpu_rate: processor seconds a megapixel.
        memory: peak of a job, bytes.
        largest: megapixels of the image that it was measured on.
        fixed_bytes: of an artifact whose size does not grow with the images.
        bytes_rate: of an artifact, bytes a megapixel.
    """

    start: float
    rate: float = 0
    cpu_start: float = 0
    cpu_rate: float = 0
    memory: float = 0
    largest: float = 0
    fixed_bytes: float = 0
    bytes_rate: float = 0

    def seconds(self, work: Workload) -> float:
        """Wall time of a job."""
        return self.start + self.rate * work.megapixels

    def cpu_seconds(self, work: Workload) -> float:
        """Processor time of a job."""
        return self.cpu_start + self.cpu_rate * work.megapixels

    def bytes(self, work: Workload) -> float:
        """Size of its artifact."""
        return self.fixed_bytes + self.bytes_rate * work.megapixels

    def peak_memory(self, work: Workload) -> float:
        """Memory of a job; beyond the image that was measured it grows with the pixels."""
        beyond = max(1.0, work.largest / self.largest) - 1 if self.largest else 0.0
        return self.memory + beyond * max(0.0, self.memory - LOADED_MEMORY)

    @property
    def plain(self) -> dict[str, float]:
        """Field → value."""
        return asdict(self)


def machine(device: str) -> dict[str, Any]:
    """What a measurement holds for: this machine, the device, and the versions.

    Args:
        device: cpu or cuda.
    """
    return {
        "host": platform.node(),
        "cpus": len(os.sched_getaffinity(0)),
        "device": device,
        "torch": version("torch"),
        "irnet_pipe": __version__,
    }


def measure(record: Record, results: Path, work: Workload, *, device: str) -> Measurement | None:
    """What the last attempt that made an artifact on this machine took; None where nothing tells.

    Args:
        record: of the artifact.
        results: folder of the artifacts.
        work: of the job.
        device: cpu or cuda.
    """
    host, on_cpu = platform.node(), device == "cpu" or record.stage not in DEVICE_STAGES
    attempts = attempts_with_progress(results, record)
    for attempt, progress in reversed(attempts):
        if attempt.outcome == "ok" and attempt.host == host and (attempt.device == "cpu") == on_cpu:
            found = _measured(attempt, progress, work, resumed=len(attempts) > 1, step=_step(record))
            if found is not None:
                return _with_bytes(found, results / record.path, record, work)
    return None


def _step(record: Record) -> int:
    """Images after which a job tells its progress first."""
    if record.stage not in TRAINERS:
        return 1
    settings = record.spec["config"].get(f"{record.stage.removeprefix('train_')}.train", {})
    batch: int = settings.get("batch", 1)
    return batch


def _measured(
    attempt: Attempt, progress: Sequence[Mapping[str, Any]], work: Workload, *, resumed: bool, step: int
) -> Measurement | None:
    cpu, memory = attempt.cpu_seconds or 0.0, float(attempt.peak_memory or 0)
    if not work.megapixels:
        return Measurement(attempt.seconds, cpu_start=cpu, memory=memory)
    told = [event for event in progress if "cpu_seconds" in event]
    if not told:
        return None
    first, last = told[0], told[-1]
    items = last["done"] - first["done"]
    if resumed and not items:
        return None
    times = [datetime.fromisoformat(event["time"]) for event in (first, last)]
    each = (times[1] - times[0]).total_seconds() / max(1, items)
    cpu_each = (last["cpu_seconds"] - first["cpu_seconds"]) / max(1, items)
    # an attempt that went on from a checkpoint has done a part alone
    done = items + step if resumed else last["done"]
    pixels = work.megapixels / work.items
    return Measurement(
        start=max(0.0, attempt.seconds - each * done),
        rate=each / pixels,
        cpu_start=max(0.0, cpu - cpu_each * done),
        cpu_rate=cpu_each / pixels,
        memory=memory,
        largest=work.largest,
    )


def _with_bytes(found: Measurement, artifact: Path, record: Record, work: Workload) -> Measurement:
    try:
        size = artifact.stat().st_size
    except FileNotFoundError:  # it may be deleted once nothing needs it
        size = 0
    grows = work.megapixels > 0 and (record.unit != "all" or record.stage == "gather_masks")
    part = {"bytes_rate": size / work.megapixels} if grows else {"fixed_bytes": float(size)}
    return Measurement(**found.plain | part)


def typical(measurements: Sequence[Measurement]) -> Measurement:
    """The median of each figure; of memory the greatest."""
    values = {
        field.name: median(getattr(item, field.name) for item in measurements)
        for field in fields(Measurement)
    }
    greatest = max(measurements, key=lambda item: item.memory)
    return Measurement(**values | {"memory": greatest.memory, "largest": greatest.largest})
