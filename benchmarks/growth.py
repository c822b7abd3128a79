"""How time and memory of each stage grow with the pixels of a photo: `python -m benchmarks.growth`.

Each stage runs as a job of its own, as Snakemake runs it, on one square photo at its full size. What the same job takes
on a photo of 64 pixels, which is start-up and imports, is subtracted before exponents are fitted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.paired import THREAD_VARIABLES, Setting
from benchmarks.runs import SmallRun
from irnet_pipe.recipes import record_path
from irnet_pipe.runtime.job import Job

STAGES = (
    *("infer_cam", "mine_relations", "infer_irnet", "refine_displacement", "propagate"),
    *("export_masks", "gather_masks"),
)
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(code)
"""
"""Starts a job from a small process: Linux counts the memory of whoever starts a process as the process's own."""

SMALLEST = 64
SIDES = (512, 1024, 2048)


class Cost(NamedTuple):
    """CPU seconds and peak of the resident memory (bytes) of a job."""

    seconds: float
    peak: int


def cost_of(job: Job, *, repeats: int) -> Cost:
    """The least of several runs of a job in a process of its own."""
    return min(_run(job) for _ in range(repeats))


def _run(job: Job) -> Cost:
    job.output.unlink(missing_ok=True)
    recipe = record_path(job.results, job.record.recipe)
    command = [sys.executable, "-m", "irnet_pipe", job.record.stage, "--recipe", str(recipe)]
    command += ["--output", str(job.output), "--root", str(job.root), "--device", "cpu"]
    return cost_of_process(command)


def cost_of_process(command: Sequence[str]) -> Cost:
    """What a command takes, start-up included, each library on one thread.

    Raises:
        SystemExit: it fails.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    process = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{process.stderr}")
    seconds, kibibytes = process.stdout.split()
    return Cost(float(seconds), 1024 * int(kibibytes))


def costs_at(
    side: int, stages: Sequence[str], *, working_long_side: int | None, backbone: str, repeats: int
) -> dict[str, Cost]:
    """Cost of stages on one photo of side² pixels."""
    costs = {}
    for relations in (False, True):  # relations belong to a run in which IRNet is trained
        dataset = {"working_long_side": working_long_side}
        setting = Setting("full")
        chosen = [stage for stage in stages if (stage == "mine_relations") == relations]
        # a canvas larger than the photo would make the smallest photo cost what a large one costs
        facts = {"canvas": SMALLEST, "relations": relations, "dataset": dataset}
        run = SmallRun(setting, count=1, size=side, backbone=backbone, **facts)
        costs |= {stage: cost_of(run.job(stage), repeats=repeats) for stage in chosen}
    return costs


def exponent(sides: Sequence[int], values: Sequence[float]) -> float:
    """Slope of a line through log(value) over log(pixels); nan where a value is not positive."""
    if min(values) <= 0:
        return float("nan")
    slope: float = np.polyfit(2 * np.log(sides), np.log(values), 1)[0]
    return slope


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="of the photos, in pixels")
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES, metavar="STAGE")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each job, of which the least counts")
    parser.add_argument(
        "--working-long-side", type=int, help="as in the config; photos as they are if not given"
    )
    options = parser.parse_args()
    table = {
        side: costs_at(
            side,
            options.stages,
            working_long_side=options.working_long_side,
            backbone=options.backbone,
            repeats=options.repeats,
        )
        for side in (SMALLEST, *options.sides)
    }
    print(as_markdown(options.sides, table))


def as_markdown(sides: Sequence[int], table: dict[int, dict[str, Cost]]) -> str:
    """CPU seconds and peak memory by stage and side, and the exponents of both beyond the smallest photo."""
    heads = [f"{side}²: CPU s, peak MB" for side in sides]
    lines = [f"| stage | {SMALLEST}² | {' | '.join(heads)} | exponent of time | of memory |"]
    lines.append("|---|" + "---|" * (len(sides) + 3))
    for stage, least in table[SMALLEST].items():
        costs = [table[side][stage] for side in sides]
        cells = [f"{cost.seconds:.2f}, {cost.peak / 1e6:.0f}" for cost in (least, *costs)]
        cells.append(f"{exponent(sides, [cost.seconds - least.seconds for cost in costs]):.2f}")
        cells.append(f"{exponent(sides, [cost.peak - least.peak for cost in costs]):.2f}")
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
