"""How time and memory grow with the number of images: index, plan, status, gathered masks. Prints a Markdown table.

    python benchmarks/scale.py --folder /tmp/scale --sizes 1000 10000 100000

Each command runs in a process of its own, as a person would start it.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from irnet_pipe.recipes import RECIPES, read_record, record_path

ROOT = Path(__file__).resolve().parents[1]
PIPE = [sys.executable, "-m", "irnet_pipe"]
STATUS = [*PIPE, "status", "--config", "scale.yaml"]
DRY_RUN = [
    *(
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--configfile",
        "scale.yaml",
    ),
    *("--workflow-profile", str(ROOT / "profiles" / "default"), "--cores", "1", "--dry-run", "--quiet"),
]
COUNTED = [*DRY_RUN, "rules"]
"""A dry run that tells the number of jobs."""
UNFINISHED = 1
"""Exit code of `status` where there is something to do."""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of processor time and greatest resident memory in bytes; jobs that would run."""

    seconds: float
    cpu_seconds: float
    memory: int
    jobs: int | None = None

    def __str__(self) -> str:
        text = f"{self.seconds:.1f} ({self.cpu_seconds:.1f}) s, {self.memory / 2**20:,.0f} MiB"
        return text if self.jobs is None else f"{text}, {self.jobs} jobs"


def run(command: list[str], folder: Path, *, good: tuple[int, ...] = (0,)) -> Cost:
    """Run a command in a folder and measure it.

    The kernel counts the memory of whoever starts a process as the process's own, until it has loaded its program:
    so this script loads nothing heavy.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_WAIT_POLICY": "passive"}
    with (folder / "output.txt").open("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode not in good:
        sys.exit(f"{' '.join(command)} in {folder} ended with {process.returncode}:\n{text}")
    total = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    # The rule `all` is counted, but runs nothing.
    jobs = int(total[1]) - 1 if total else None
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, jobs)
    print(f"{folder.name}: {' '.join(command)}: {cost}", file=sys.stderr)
    return cost


def repeat(n: int, command: list[str], folder: Path, *, fresh: bool = False, **options) -> Cost:
    """The run of the middle wall time of n runs; `fresh` ones begin without results."""
    costs = []
    for _ in range(n):
        if fresh:
            shutil.rmtree(folder / "results", ignore_errors=True)
        costs.append(run(command, folder, **options))
    return sorted(costs, key=lambda cost: cost.seconds)[n // 2]


def gather(folder: Path) -> list[str]:
    """Command of the project's gather_masks."""
    records = (read_record(path) for path in (folder / "results" / RECIPES).iterdir())
    record = next(record for record in records if record.stage == "gather_masks")
    recipe = record_path(Path("results"), record.recipe)
    return [*PIPE, "gather_masks", "--recipe", str(recipe), "--output", f"results/{record.path}"]


def measure(images: int, folder: Path, *, shards: int, repeats: int) -> dict[str, Cost]:
    """Measure a project of a number of images, which is made in a folder that must not exist, and removed."""

    def make(what: str) -> None:
        script = [sys.executable, str(ROOT / "benchmarks" / "scale_project.py"), what, str(folder)]
        subprocess.run([*script, "--images", str(images), "--shards", str(shards)], check=True)

    make("photos")
    index = [*PIPE, "index_dataset", "--config", "scale.yaml"]
    costs = {
        "index, first": repeat(repeats, index, folder, fresh=True),
        "index, nothing changed": repeat(repeats, index, folder),
        "dry run, nothing made": repeat(repeats, DRY_RUN, folder),
        "`status`, nothing made": repeat(repeats, STATUS, folder, good=(UNFINISHED,)),
    }
    make("artifacts")
    costs |= {
        "`gather_masks`": run(gather(folder), folder),
        "dry run, all there": repeat(repeats, DRY_RUN, folder),
        "`status`, all there": repeat(repeats, STATUS, folder),
    }
    make("append")
    costs["dry run, one label-only image appended"] = run(COUNTED, folder)
    shutil.rmtree(folder)
    return costs


def exponents(costs: dict[int, Cost]) -> str:
    """Exponents of processor time between each size and the next: 1 is linear."""
    return ", ".join(
        f"{math.log(costs[b].cpu_seconds / costs[a].cpu_seconds) / math.log(b / a):.2f}"
        for a, b in pairwise(costs)
    )


def table(costs: dict[int, dict[str, Cost]]) -> str:
    """Markdown: a row a command, a column a number of images."""
    lines = [
        f"| images | {' | '.join(f'{images:,}' for images in costs)} | exponents |",
        "|---" * (len(costs) + 2) + "|",
    ]
    for name in next(iter(costs.values())):
        row = {images: found[name] for images, found in costs.items()}
        lines.append(f"| {name} | {' | '.join(map(str, row.values()))} | {exponents(row)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="new folder to work in; removed afterwards"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000], help="numbers of images")
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument(
        "--repeats", type=int, default=3, help="the middle time counts; gather_masks runs once"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    costs = {}
    for images in sorted(options.sizes):
        folder = options.folder.resolve() / str(images)
        costs[images] = measure(images, folder, shards=options.shards, repeats=options.repeats)
    options.folder.rmdir()
    print(table(costs))


if __name__ == "__main__":
    main()
