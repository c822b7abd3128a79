"""Measure two implementations beside each other: A B A B …, and the peak memory of each by itself.

Every measurement runs in a process of its own, whose number of threads is fixed before any library is loaded.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
HIGH_WATER_RESET = Path("/proc/self/clear_refs")
"""Of the resident memory; Linux has it."""


class Disagreement(Exception):  # noqa: N818 (the name says what it is)
    """Two implementations gave different results."""


@dataclass(frozen=True)
class Setting:
    """What a row is measured with.

    Attributes:
        size: toy (for tests), quick or full.
        pairs: how often both sides run after the first time.
        photos: folder of photos; None for those of the generator.
        memory: whether peak memory is measured.
    """

    size: str = "full"
    pairs: int = 5
    photos: Path | None = None
    memory: bool = True

    def choose(self, toy: Any, quick: Any, full: Any) -> Any:
        """The value for this size."""
        return {"toy": toy, "quick": quick, "full": full}[self.size]


@dataclass(frozen=True)
class Row:
    """Two implementations of one thing.

    Attributes:
        name: for the command line.
        title: what is computed, and on what.
        comparator: what the other side is.
        inputs: the cases, such as one a photo; both sides read them and change nothing.
        ours: case → result.
        theirs: case → result.
        agreement: cases, our results, their results → how well they agree.

            Raises:
                Disagreement: worse than they must.
        threads: of every library.
        memory: whether peak memory is measured; not where the work is done by processes of the sides, or on a device.
        device: that a side computes on; where there is none of its kind, the row is not measured.
    """

    name: str
    title: str
    comparator: str
    inputs: Callable[[Setting], Sequence[Any]]
    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    agreement: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], str]
    threads: int = 1
    memory: bool = True
    device: str = "cpu"


@dataclass(frozen=True)
class Measurement:
    """What came of a row.

    Attributes:
        ours: wall seconds, by pair and by case.
        theirs: the same of the other side.
        ours_cpu: CPU seconds of the process, by pair and by case.
        theirs_cpu: the same of the other side.
        ours_bytes: peak of the resident memory beyond imports and inputs; None where the system does not tell it.
        theirs_bytes: the same of the other side.
        agreement: how well the results agree.
    """

    ours: list[list[float]]
    theirs: list[list[float]]
    ours_cpu: list[list[float]] = field(default_factory=list)
    theirs_cpu: list[list[float]] = field(default_factory=list)
    ours_bytes: int | None = None
    theirs_bytes: int | None = None
    agreement: str = ""

    @property
    def seconds(self) -> tuple[float, float]:
        """Medians over the pairs of the time for all cases: ours, theirs."""
        ours, theirs = (statistics.median(map(sum, side)) for side in (self.ours, self.theirs))
        return ours, theirs

    @property
    def ratios(self) -> list[float]:
        """Their time by ours of each pair, ascending."""
        return sorted(sum(b) / sum(a) for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Of the ratios."""
        if len(self.ratios) == 1:
            return (self.ratios[0],) * 3
        low, middle, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, middle, high

    @property
    def least_ratio(self) -> float:
        """Median ratio of the case in which ours gains least."""
        cases = zip(zip(*self.ours, strict=True), zip(*self.theirs, strict=True), strict=True)
        return min(statistics.median(b / a for a, b in zip(*case, strict=True)) for case in cases)


def measure(row: Row, setting: Setting) -> Measurement:
    """Measure a row.

    Raises:
        Disagreement: the results differ by more than they may.
    """
    timed = _in_process(row, _timed, setting)
    if not (row.memory and setting.memory):
        return Measurement(**timed)
    peaks = [peak_memory(row, setting, side) for side in ("ours", "theirs")]
    return Measurement(**timed, ours_bytes=peaks[0], theirs_bytes=peaks[1])


def peak_memory(row: Row, setting: Setting, side: str) -> int | None:
    """Peak bytes of the resident memory of one side beyond imports and inputs, in a process of its own."""
    peak: int | None = _in_process(row, _peak, setting, side)
    return peak


def _in_process(row: Row, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a row in a new process with that row's number of threads."""
    with (
        _environment({name: str(row.threads) for name in THREAD_VARIABLES} | {"OMP_WAIT_POLICY": "passive"}),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
    ):
        return executor.submit(function, row, *arguments).result()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fix_threads(count: int) -> None:
    import numba
    import torch

    torch.set_num_threads(count)
    numba.set_num_threads(count)


def _timed(row: Row, setting: Setting) -> dict[str, Any]:
    _fix_threads(row.threads)
    cases = row.inputs(setting)
    # the first time compiles, fills caches, and gives the results that are compared
    ours, theirs = ([side(case) for case in cases] for side in (row.ours, row.theirs))
    agreement = row.agreement(cases, ours, theirs)
    del ours, theirs
    wall = {"ours": [], "theirs": []}
    cpu = {"ours_cpu": [], "theirs_cpu": []}
    for _ in range(setting.pairs):
        sides = row.ours, row.theirs
        pairs = [[_clock(side, case, device=row.device) for side in sides] for case in cases]
        for position, side in enumerate(wall):
            wall[side].append([pair[position][0] for pair in pairs])
            cpu[f"{side}_cpu"].append([pair[position][1] for pair in pairs])
    return {**wall, **cpu, "agreement": agreement}


def _clock(function: Callable[[Any], Any], case: Any, *, device: str) -> tuple[float, float]:
    """Wall and CPU seconds of a call, until the device has done all of it."""
    gc.collect()
    _wait_for(device)
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(case)
    _wait_for(device)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    del result
    return wall, cpu


def _wait_for(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _peak(row: Row, setting: Setting, side: str) -> int | None:
    _fix_threads(row.threads)
    function = getattr(row, side)
    # what is imported and compiled is not counted
    for case in row.inputs(Setting("toy", 1, setting.photos)):
        function(case)
    cases = row.inputs(setting)
    if not HIGH_WATER_RESET.exists():
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    HIGH_WATER_RESET.write_text("5")  # the mark falls to what is resident now
    before = _resident("VmRSS")
    for case in cases:
        function(case)
    return _resident("VmHWM") - before


def _resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024
