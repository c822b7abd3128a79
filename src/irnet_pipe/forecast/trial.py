"""A calibration: the jobs of a run on a few of its photos, in a folder of their own, so that they tell what they take.

Networks, sizes, batches and threads are those of the run; trainings end after a few steps. Each job is a process of its
own, as in the run.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import LIST_NAME, ImageEntry, read_list, sort_entries, write_list
from irnet_pipe.data.truth_list import TRUTH_NAME
from irnet_pipe.errors import InputError
from irnet_pipe.forecast.measurement import Measurement, measure
from irnet_pipe.forecast.workload import speed_key, workload
from irnet_pipe.index import Index
from irnet_pipe.plan import Artifact, Plan, join_plans
from irnet_pipe.planner import image_lists, make_plan
from irnet_pipe.recipes import INDEX, Record, record_path, write_record
from irnet_pipe.stage_table import TRAINERS
from irnet_pipe.workflow import PlannedRun

PHOTOS = 6
STEPS = 6
"""Of each training. The first tells when it begins; the others, how long one takes."""
IDLE = 0.5
"""Load of a machine of which other programs take nothing that counts."""


def calibrate(
    run: PlannedRun, keys: Collection[str], *, device: str, tell: Callable[[str], None]
) -> dict[str, Measurement]:
    """Measure jobs of a run on this machine.

    Args:
        run: what is planned.
        keys: speeds (`speed_key`) that are not known.
        device: cpu or cuda.
        tell: takes a line before each job.

    Returns:
        Measurements by key, as far as a small run has such jobs and they end well.

    """
    load = os.getloadavg()[0]
    if load > IDLE:
        tell(
            f"{load:.1f} cores were busy in the last minute: times will be those beside such a load, if it goes on"
        )
    with TemporaryDirectory(prefix="irnet_pipe-calibration-") as folder:
        trial = _Trial(run, Path(folder), device)
        return trial.measure(keys, tell)


class _Trial:
    """A small run."""

    def __init__(self, run: PlannedRun, folder: Path, device: str) -> None:
        self.run, self.results, self.device = run, folder, device
        settings = [(small_config(config), small_index(index)) for config, index in run.settings]
        self.plan: Plan = join_plans(make_plan(*setting) for setting in settings)
        self.records = {artifact.recipe: artifact.record for artifact in self.plan.artifacts}
        for config, index in settings:
            for digest, entries in image_lists(config, index).items():
                write_list(self.results / INDEX, entries, digest=digest)
        for digest in run.truths:
            listed = f"{INDEX}/{digest}/{TRUTH_NAME}"
            (self.results / listed).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.results / listed, self.results / listed)

    def measure(self, keys: Collection[str], tell: Callable[[str], None]) -> dict[str, Measurement]:
        jobs = list(self.jobs(keys))
        found: dict[str, Measurement] = {}
        for number, planned in enumerate(jobs, 1):
            tell(f"calibration {number}/{len(jobs)}: {planned.stage}")
            record, entries = self.written(planned)
            try:
                self.make(record)
            except InputError as error:
                tell(f"{error}; what follows it is estimated without")
                break
            work = workload(record, entries, self.records.get)
            taken = measure(record, self.results, work, device=self.device)
            if taken is not None:
                found[speed_key(record, self.records.get)] = taken
        return found

    def jobs(self, keys: Collection[str]) -> Iterator[Record]:
        """A job of each speed, and all that these are made of, parents first."""
        chosen: dict[str, Artifact] = {}
        for artifact in self.plan.artifacts:
            key = speed_key(self.records[artifact.recipe], self.records.get)
            if key in keys:
                chosen.setdefault(key, artifact)
        return (self.records[artifact.recipe] for artifact in self.plan.up_to(chosen.values()).artifacts)

    def written(self, record: Record) -> tuple[Record, list[ImageEntry]]:
        """A record as written for its job, and its images: of a trainer photos recur until they make its steps."""
        entries = [entry for path in record.images for entry in read_list(self.results / path)]
        settings = record.spec["config"].get(f"{record.stage.removeprefix('train_')}.train")
        if record.stage in TRAINERS and settings is not None:
            entries = [entries[number % len(entries)] for number in range(settings["batch"] * STEPS)]
            digest = f"{record.recipe}-batches"
            write_list(self.results / INDEX, entries, digest=digest)
            record = dataclasses.replace(record, images=(f"{INDEX}/{digest}/{LIST_NAME}",))
        write_record(self.results, record)
        return record, entries

    def make(self, record: Record) -> None:
        """Run a job as Snakemake would."""
        runtime = self.run.config.runtime
        output = self.results / record.path
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "irnet_pipe", record.stage, "--output", str(output)]
        command += ["--recipe", str(record_path(self.results, record.recipe))]
        command += ["--root", str(self.run.config.dataset.root), "--workers", str(runtime.workers)]
        command += ["--device", runtime.device]
        if record.stage in TRAINERS:
            command += ["--devices", str(runtime.devices_per_training)]
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise InputError(f"calibration: {record.stage}: {said[-1].removeprefix('error: ')}")


def small_config(config: Config) -> Config:
    """A config whose trainings are of one epoch, or of a few steps, and whose stages have one shard."""
    changes = {
        "shards": config.shards.model_copy(update={"n": 1}),
        "report": config.report.model_copy(update={"images": min(config.report.images, PHOTOS)}),
    }
    for name in ("cam", "irnet", "affinitynet", "maskrcnn", "deeplab"):
        section = getattr(config, name)
        length = {"iterations": STEPS} if hasattr(section.train, "iterations") else {"epochs": 1}
        changes[name] = section.model_copy(update={"train": section.train.model_copy(update=length)})
    return config.model_copy(update=changes)


def small_index(index: Index) -> Index:
    """An index of a few training photos of usual size; of others too, where these alone have ground truth."""
    known = index.truth.image_ids if index.truth else None
    photos = _usual(entry for entry in index.train if entry.labels)
    labelled = photos
    if known is not None and not any(entry.image_id in known for entry in photos):
        labelled = _usual(entry for entry in index.label if entry.image_id in known and entry.labels != ())
    return dataclasses.replace(index, train=photos, label=labelled)


def _usual(entries: Iterable[ImageEntry]) -> tuple[ImageEntry, ...]:
    """Photos amid the order of sizes, by image_id."""
    by_size = sorted(entries, key=lambda entry: (entry.height * entry.width, entry.image_id))
    first = max(0, (len(by_size) - PHOTOS) // 2)
    return tuple(sort_entries(by_size[first : first + PHOTOS]))
