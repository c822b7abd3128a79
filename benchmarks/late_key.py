"""What a changed key costs after a run: `python -m benchmarks.late_key CONFIG KEY=VALUE …`, in the run's folder.

The jobs that the change asks for are run as by Snakemake, each a process of its own, as many at once as there are cores
and as soon as their parents are there; Snakemake's own time is left out. What they make stays in the results.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import yaml

from benchmarks.growth import cost_of_process
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.plan import Artifact
from irnet_pipe.recipes import record_path
from irnet_pipe.status import Folder, jobs_to_run
from irnet_pipe.workflow import PlannedRun, plan_for, prepare


def jobs_of(run: PlannedRun) -> list[Artifact]:
    """What a run has yet to make, parents before children."""
    missing = jobs_to_run(run.plan.targets, Folder(run).has)
    return [artifact for artifact in run.plan.artifacts if artifact.recipe in missing]


def command_of(run: PlannedRun, job: Artifact) -> list[str]:
    """What Snakemake would start."""
    recipe = record_path(run.results, job.recipe)
    if job.stage == "publish":
        output = Path(run.config.runtime.outputs, job.record.spec["run"])
        return [sys.executable, "-m", "irnet_pipe.publish", "--recipe", str(recipe), "--output", str(output)]
    command = [sys.executable, "-m", "irnet_pipe", job.stage, "--recipe", str(recipe), "--device", "cpu"]
    output = run.results / job.record.path
    return [*command, "--output", str(output), "--root", str(run.config.dataset.root)]


def run_all(run: PlannedRun, jobs: Sequence[Artifact], *, cores: int) -> tuple[Counter[str], float]:
    """Processor seconds of each stage, and wall seconds of all jobs."""
    started: dict[str, Future[float]] = {}

    def after_parents(job: Artifact) -> float:
        for parent in job.parents:  # which were started before, so that this ends
            if parent.recipe in started:
                started[parent.recipe].result()
        return cost_of_process(command_of(run, job)).seconds

    start = time.monotonic()
    with ThreadPoolExecutor(cores) as pool:
        for job in jobs:
            started[job.recipe] = pool.submit(after_parents, job)
    taken: Counter[str] = Counter()
    for job in jobs:
        taken[job.stage] += started[job.recipe].result()
    return taken, time.monotonic() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.late_key", description=__doc__)
    parser.add_argument("config", type=Path, help="of a run that has ended")
    parser.add_argument("changes", nargs="+", metavar="KEY=VALUE")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    values = yaml.safe_load(options.config.read_text(encoding="utf-8"))
    before = [job for job in jobs_of(plan_for(parse_config(values))) if job.stage != "publish"]
    if before:  # what is published may be that of another change
        raise SystemExit(f"{options.config}: {len(before)} jobs of the run itself are yet to be done")
    for change in options.changes:
        path, _, value = change.partition("=")
        override = yaml.safe_load(value)
        for part in reversed(path.split(".")):
            override = {part: override}
        values = merge(values, override)
    run = prepare(parse_config(values))
    jobs = jobs_of(run)
    taken, wall = run_all(run, jobs, cores=options.cores)
    counts = Counter(job.stage for job in jobs)
    print(
        f"{len(run.index.label)} images; {', '.join(options.changes)}\n\n| stage | jobs | CPU s |\n|---|---|---|"
    )
    for stage, seconds in taken.items():
        print(f"| {stage} | {counts[stage]} | {seconds:.1f} |")
    print(f"| all | {len(jobs)} | {taken.total():.1f} |\n\nwall, {options.cores} cores: {wall:.1f} s")


if __name__ == "__main__":
    main()
