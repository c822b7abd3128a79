"""Kills runs of a small project at seeded moments, and checks that nothing is lost: `make chaos`.

One run is left undisturbed. The others are killed (SIGKILL to the whole process group) while a stage is at work or
its file is half written, unlocked and started again, until they end; then every artifact has to equal that of the
undisturbed run byte by byte, every training has to have gone on from its newest checkpoint, and no process may have
outlived a kill. Prints a table; exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from processes import kill_group, orphans, stages
from tiny_project import ROOT, Project

from irnet_pipe.config.presets import merge
from irnet_pipe.data.synthetic import generate
from irnet_pipe.stage_table import SEGMENTERS, STAGES

PARSE = "(parse)"
RUN_STAGES = [stage for stage in STAGES if not stage.endswith((*SEGMENTERS, "affinitynet"))]
PLACES = (PARSE, *RUN_STAGES)
TRAINERS = ("train_cam", "train_irnet")
BATCH = 4
SCAN_SECONDS = 0.05
LOG_EVERY_STEP = """
from irnet_pipe.runtime.progress import Progress
Progress.__init__.__kwdefaults__["every"] = 0.0
"""
"""A sitecustomize.py: the logs then tell how far a trainer was when it was killed."""

TRAIN = {"batch": BATCH, "crop": 64, "precision": "fp32", "threads": 1, "optimizer": "adamw"}
VALUES: dict[str, Any] = {
    "run": "chaos",
    "shards": {"n": 2},
    "dataset": {"labels": "image_labels.csv", "evaluate": "all"},
    "cam": {
        "backbone": "resnet18",
        "weights": None,
        "train": TRAIN | {"long_side": [64, 80], "freeze": "none", "batch_norm": "batch"},
        "infer": {"scales": [1], "precision": "fp32"},
    },
    "irnet": {
        "backbone": "resnet18",
        "weights": "cam",
        "radius": 4,
        "train": TRAIN,
        "infer": {"canvas": 64, "precision": "fp32"},
    },
    # auto, so that the stages that choose them are at work too
    "relations": {"fg_threshold": "auto", "bg_threshold": "auto"},
    "export": {"variants": ["full"], "instance": {"bg_threshold": "auto"}},
    "report": {"images": 3},
}
RUNTIME = {"workers": 1, "checkpoint_minutes": 0.04}


@dataclass(frozen=True)
class Moment:
    """When to kill: a share of a stage's undisturbed time after its start, then once a file is half written."""

    place: str
    share: float
    in_writer: bool


@dataclass
class Tally:
    """What the kills have done."""

    kills: Counter[str] = field(default_factory=Counter)
    in_writer: Counter[str] = field(default_factory=Counter)
    steps_lost: int = 0
    runs: int = 0
    equal: int = 0
    problems: list[str] = field(default_factory=list)


class Run:
    """One run in a folder of its own, started again after each kill."""

    def __init__(self, folder: Path, photos: Path, epochs: int) -> None:
        folder.mkdir()
        train = {"train": {"epochs": epochs}}
        self.project = Project(folder, photos, merge(VALUES, {"cam": train, "irnet": train}))
        self.project.values["runtime"] |= RUNTIME
        self.results = folder / "results"
        self.patch = folder / "patch"
        self.patch.mkdir()
        (self.patch / "sitecustomize.py").write_text(LOG_EVERY_STEP, encoding="utf-8")
        self.half: set[Path] = set()
        self.trained: dict[str, tuple[int, int]] = {}  # steps done and steps saved when a trainer was killed

    def start(self) -> subprocess.Popen[str]:
        paths = f"{self.patch}:{ROOT / 'src'}"
        with (self.project.folder / "snakemake.log").open("a") as log:
            return self.project.start(stdout=log, stderr=subprocess.STDOUT, env={"PYTHONPATH": paths})

    def half_written(self) -> dict[Path, str]:
        """Temporary files of the writers that no earlier kill has left → stage."""
        found = {path: path.parent.name for path in self.results.glob("*/.*.tmp")}
        found |= {path: path.parts[-3] for path in self.results.glob("work/*/*/.*.tmp")}
        found |= dict.fromkeys(self.project.folder.glob("outputs/chaos/.*.tmp"), "publish")
        return {path: stage for path, stage in found.items() if path not in self.half}

    def watch(self, process: subprocess.Popen[str]) -> Iterator[dict[str, float]]:
        """Seconds since each place that is at work was first seen at work, again and again until the end."""
        start = scanned = time.monotonic()
        first: dict[str, float] = {}
        active = {PARSE}
        while process.poll() is None:
            now = time.monotonic()
            if now - scanned > SCAN_SECONDS:
                scanned = now
                active = set(stages(process.pid).values()) or ({PARSE} if not first else set())
                for place in active - {PARSE}:
                    first.setdefault(place, now)
            yield {place: now - first.get(place, start) for place in active}
            time.sleep(0.001)

    def undisturbed(self) -> dict[str, float]:
        """Run to the end; returns how long each place was at work."""
        seconds: dict[str, float] = {}
        process = self.start()
        for since in self.watch(process):
            seconds |= since
        self.check_end(process.returncode)
        # A moment at a place that is never at work would never come.
        assert seconds.keys() == set(PLACES), f"at work: {sorted(seconds)}, expected {sorted(PLACES)}"
        return seconds

    def attempt(self, moments: Sequence[Moment], seconds: dict[str, float]) -> Moment | None:
        """Start, and kill at the first of the moments that comes; None where the run ends before."""
        process = self.start()
        for since in self.watch(process):
            half = set(self.half_written().values())
            for moment in moments:
                elapsed = since.get(moment.place, -1.0)
                due = elapsed >= moment.share * seconds[moment.place]
                if due and (not moment.in_writer or moment.place in half):
                    kill_group(process)
                    if left := orphans(process.pid):
                        raise AssertionError(f"processes outlived the kill: {left}")
                    return moment
        self.check_end(process.returncode)
        return None

    def check_end(self, code: int) -> None:
        if code != 0:
            log = (self.project.folder / "snakemake.log").read_text(encoding="utf-8")
            raise AssertionError(f"snakemake ended with {code}:\n{log[-5000:]}")

    def unlock(self) -> None:
        done = self.project.snakemake("--unlock")
        if done.returncode != 0:
            raise AssertionError(f"--unlock ended with {done.returncode}:\n{done.stderr[-2000:]}")

    def steps_lost(self) -> dict[str, int]:
        """Steps that each trainer has had to repeat in the last attempt; notes how far each is now."""
        lost = {}
        for stage in TRAINERS:
            for log in self.results.glob(f"logs/{stage}/*.log"):
                text = log.read_text(encoding="utf-8")
                resumed = re.search(r"going on from step (\d+)", text)
                done = [int(n) // BATCH for n in re.findall(r": (\d+)/\d+ images", text)]
                log.unlink()
                if not resumed and not done:
                    continue
                first = int(resumed[1]) if resumed else 0
                if stage in self.trained:
                    before, saved = self.trained[stage]
                    lost[stage] = before - first
                    if first != saved:
                        raise AssertionError(f"{stage} went on from step {first}, but step {saved} was saved")
                names = [path.stem for path in self.results.glob(f"work/{stage}/*/checkpoint-*.pth")]
                saved = max((int(name.rpartition("-")[2]) for name in names), default=0)
                self.trained[stage] = (max([first, *done]), saved)
        return lost

    def digests(self) -> dict[str, str]:
        """Path → sha256 of every artifact and of all that is published."""
        files = self.project.artifacts() | self.project.published()
        return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def moments(rng: random.Random) -> Iterator[Moment]:
    """Moments without end: every place and kind once, in random order, then again."""
    while True:
        kinds = [(place, False) for place in PLACES] + [(stage, True) for stage in RUN_STAGES]
        rng.shuffle(kinds)
        for place, in_writer in kinds:
            yield Moment(place, rng.random(), in_writer)


def disturbed(run: Run, todo: list[Moment], seconds: dict[str, float], tally: Tally) -> list[Moment]:
    """A run with kills at the moments given; returns those that have not come."""
    while True:
        hit = run.attempt(todo, seconds)
        for steps in run.steps_lost().values():
            tally.steps_lost = max(tally.steps_lost, steps)
        if hit is None:
            # the stage had ended before: strike earlier next time
            return [replace(moment, share=moment.share / 2) for moment in todo]
        todo.remove(hit)
        tally.kills[hit.place] += 1
        half = run.half_written()
        tally.in_writer[hit.place] += hit.place in half.values()
        run.half |= half.keys()
        tell(f"run {tally.runs}, kill {tally.kills.total()}: {hit.place}{' in its writer' * hit.in_writer}")
        run.unlock()


def chaos(folder: Path, *, kills: int, per_run: int, seed: int, images: int, epochs: int) -> Tally:
    """Run undisturbed once, then as often as it takes to place the kills."""
    photos, tally = folder / "photos", Tally()
    generate(photos, seed=seed, images=images, size=64)
    start = time.monotonic()
    quiet = Run(folder / "undisturbed", photos, epochs)
    seconds = quiet.undisturbed()
    tell(f"undisturbed: {time.monotonic() - start:.0f} s")
    expected, source = quiet.digests(), moments(random.Random(seed))
    waiting: list[Moment] = []
    while tally.kills.total() < kills:
        tally.runs += 1
        wanted = min(per_run, kills - tally.kills.total())
        todo = [waiting.pop() if waiting else next(source) for _ in range(wanted)]
        run = Run(folder / f"run {tally.runs}", photos, epochs)
        try:
            waiting += disturbed(run, todo, seconds, tally)
            found = run.digests()
            differing = sorted(
                path for path in expected.keys() | found if expected.get(path) != found.get(path)
            )
            tally.equal += not differing
            tally.problems += [f"run {tally.runs}: {path} differs" for path in differing]
            if not differing:
                shutil.rmtree(run.project.folder)
        except AssertionError as error:
            tally.problems.append(f"run {tally.runs}: {error}")
        if tally.problems:
            break
    interval = images // BATCH
    if tally.steps_lost > interval:
        tally.problems.append(f"{tally.steps_lost} steps were lost, an interval has {interval}")
    return tally


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(tally: Tally, interval: int) -> str:
    """Kills per place, and what came of them."""
    lines = [f"{'killed while at work':24}{'kills':>7}{'in its writer':>15}"]
    for place in PLACES:
        lines.append(f"{place:24}{tally.kills[place]:7}{tally.in_writer[place]:15}")
    lines.append(f"{'all':24}{tally.kills.total():7}{tally.in_writer.total():15}")
    lines.append(f"runs {tally.runs}, equal to the undisturbed one {tally.equal}")
    lines.append(
        f"training steps lost at most {tally.steps_lost}, between two checkpoints at most {interval}"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="in all")
    parser.add_argument("--per-run", type=int, default=12, help="kills that one run gets at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=3, help="of each training")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        tally = chaos(
            Path(folder),
            kills=options.kills,
            per_run=options.per_run,
            seed=options.seed,
            images=options.images,
            epochs=options.epochs,
        )
    tell(table(tally, options.images // BATCH))
    for problem in tally.problems:
        tell(f"error: {problem}")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
