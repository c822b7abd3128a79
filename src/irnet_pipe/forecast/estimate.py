"""Time, memory and disk of what a run has yet to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.forecast.calibrations import CALIBRATION, Calibrations
from irnet_pipe.forecast.cores import Task, makespan
from irnet_pipe.forecast.defaults import default
from irnet_pipe.forecast.earlier import EarlierJobs
from irnet_pipe.forecast.measurement import Measurement
from irnet_pipe.forecast.trial import calibrate
from irnet_pipe.forecast.workload import Workload, backbone, speed_key, workload
from irnet_pipe.plan import Artifact
from irnet_pipe.recipes import Record
from irnet_pipe.resources import disk_free, host_memory
from irnet_pipe.stage_table import DEVICE_STAGES, STAGES, TRAINERS
from irnet_pipe.status import Folder, ancestors, jobs_to_run
from irnet_pipe.workflow import PlannedRun

EARLIER, CALIBRATED, GENERAL = "earlier jobs", "calibration", "general figures"
"""Where an estimate comes from."""

NOT_CALIBRATED = ("report", "publish")
"""Stages that are run last and take seconds; the pictures of networks that have learnt nothing take longer."""

CHECKPOINTS = 6
"""What two checkpoints of a training take beside its weights, which go when these are written."""


@dataclass(frozen=True)
class Job:
    """A job that is to be done."""

    record: Record
    work: Workload
    key: str
    measurement: Measurement
    source: str

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.measurement.seconds(self.work)


@dataclass(frozen=True)
class StageEstimate:
    """What a stage takes.

    Attributes:
        stage: its name.
        total: artifacts that the run is made of.
        there: those of them that are there.
        to_do: jobs.
        seconds: wall time of its jobs, one after the other.
        cpu_seconds: their processor time.
        memory: of its largest job, bytes.
        disk: of what it writes, bytes.
        sources: where the figures come from.
    """

    stage: str
    total: int
    there: int
    to_do: int
    seconds: float
    cpu_seconds: float
    memory: float
    disk: float
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """What a run takes.

    Attributes:
        stages: those that it has, in the order of the pipeline.
        cores: that its jobs share.
        gpus: likewise.
        wall_seconds: from the command to its end.
        memory: of jobs that run at once, bytes.
        memory_there: of the machine, bytes.
        disk: of what is written, checkpoints included, bytes.
        disk_there: free below the results folder, bytes.
        kept_in: file of the calibration.
    """

    stages: tuple[StageEstimate, ...]
    cores: int
    gpus: int
    wall_seconds: float
    memory: float
    memory_there: float
    disk: float
    disk_there: float
    kept_in: str

    @property
    def jobs(self) -> int:
        """Jobs of all stages."""
        return sum(stage.to_do for stage in self.stages)


def estimate(
    run: PlannedRun, *, cores: int, gpus: int, measured: bool = True, tell: Callable[[str], None]
) -> Estimate:
    """Estimate what a run takes, from what is not there yet.

    Args:
        run: what is planned.
        cores: that its jobs share.
        gpus: likewise; 0: networks compute on the cores.
        measured: whether speeds that no earlier job tells are measured.
        tell: takes lines about the calibration.
    """
    folder = Folder(run)
    to_do = jobs_to_run(run.plan.targets, folder.has)
    jobs = _Estimator(run, "cuda" if gpus else "cpu").jobs(
        [artifact for artifact in run.plan.artifacts if artifact.recipe in to_do],
        tell if measured else None,
    )
    taken = makespan(_tasks(jobs, devices=run.config.runtime.devices_per_training), cores=cores, gpus=gpus)
    whole = ancestors(run.plan.targets)
    of_stages = {stage: [a for a in run.plan.of(stage) if a.recipe in whole] for stage in STAGES}
    stages = tuple(
        _stage(stage, jobs, total=len(made), there=sum(map(folder.has, made)))
        for stage, made in of_stages.items()
        if made
    )
    weights = [
        job.measurement.bytes(job.work) for job in jobs if job.record.stage in TRAINERS and job.work.items
    ]
    return Estimate(
        stages=stages,
        cores=cores,
        gpus=gpus,
        wall_seconds=taken.seconds,
        memory=taken.memory,
        memory_there=host_memory(),
        disk=sum(stage.disk for stage in stages) + CHECKPOINTS * max(weights, default=0),
        disk_there=disk_free(run.results),
        kept_in=str(run.results / CALIBRATION),
    )


def _stage(stage: str, jobs: Sequence[Job], *, total: int, there: int) -> StageEstimate:
    own = [job for job in jobs if job.record.stage == stage]
    return StageEstimate(
        stage=stage,
        total=total,
        there=there,
        to_do=len(own),
        seconds=sum(job.seconds for job in own),
        cpu_seconds=sum(job.measurement.cpu_seconds(job.work) for job in own),
        memory=max((job.measurement.peak_memory(job.work) for job in own), default=0),
        disk=sum(job.measurement.bytes(job.work) for job in own),
        sources=tuple(sorted({job.source for job in own})),
    )


def _tasks(jobs: Sequence[Job], *, devices: int) -> list[Task]:
    places = {job.record.recipe: place for place, job in enumerate(jobs)}
    return [
        Task(
            seconds=job.seconds,
            # as workflow/rules have it
            threads=job.record.training_threads * devices if job.record.stage in TRAINERS else 1,
            gpus=(devices if job.record.stage in TRAINERS else 1) * (job.record.stage in DEVICE_STAGES),
            memory=job.measurement.peak_memory(job.work),
            parents=tuple(places[p.recipe] for p in job.record.parents if p.recipe in places),
        )
        for job in jobs
    ]


class _Estimator:
    """Finds what each job takes: by earlier jobs, else a calibration, else general figures."""

    def __init__(self, run: PlannedRun, device: str) -> None:
        self.run, self.device = run, device
        self.records = {artifact.recipe: artifact.record for artifact in run.plan.artifacts}
        self.lists = run.image_lists
        self.earlier = EarlierJobs(run.results, device=device)
        self.calibrations = Calibrations(run.results, device=device)

    def jobs(self, artifacts: Sequence[Artifact], tell: Callable[[str], None] | None) -> list[Job]:
        keys = {a.recipe: speed_key(self.records[a.recipe], self.records.get) for a in artifacts}
        measured = [artifact for artifact in artifacts if artifact.stage not in NOT_CALIBRATED]
        unknown = {keys[a.recipe] for a in measured if self.found(a.stage, keys[a.recipe]) is None}
        if unknown and tell is not None:
            self.calibrations.add(calibrate(self.run, unknown, device=self.device, tell=tell))
        return [self.job(artifact, keys[artifact.recipe]) for artifact in artifacts]

    def found(self, stage: str, key: str) -> tuple[Measurement, str] | None:
        earlier = self.earlier.find(stage, key)
        if earlier is not None:
            return earlier, EARLIER
        calibrated = self.calibrations.find(key)
        return None if calibrated is None else (calibrated, CALIBRATED)

    def job(self, artifact: Artifact, key: str) -> Job:
        record = self.records[artifact.recipe]
        work = workload(record, self.entries(record), self.records.get)
        found = self.found(artifact.stage, key) or (self.general(record, work), GENERAL)
        return Job(record, work, key, *found)

    def general(self, record: Record, work: Workload) -> Measurement:
        trainers = [record, *(self.records[parent.recipe] for parent in record.parents)]
        names = (backbone(trainer) for trainer in trainers if trainer.stage in TRAINERS)
        return default(record, work, backbone=next(names, None), device=self.device)

    def entries(self, record: Record) -> list[ImageEntry]:
        """Images of a job; of a publication those whose masks it copies."""
        lists = record.images
        if record.stage == "publish":
            parents = [self.records[parent.recipe] for parent in record.parents]
            lists = tuple(
                path for parent in parents if parent.stage == "gather_masks" for path in parent.images
            )
        return [entry for path in lists for entry in self.lists[path.split("/")[1]]]
