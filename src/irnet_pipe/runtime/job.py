"""One job: the recipe of an artifact, where to write it, and what it is run with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from irnet_pipe.artifacts.schema import MASKS_OF_STAGE
from irnet_pipe.data.image_list import ImageEntry, read_list
from irnet_pipe.data.truth_list import TRUTH_NAME
from irnet_pipe.recipes import INDEX, WORK, Parent, Record, read_record, record_path
from irnet_pipe.runtime.events import Events
from irnet_pipe.runtime.lock import exclusive
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.runtime.ranks import Ranks


@dataclass(frozen=True)
class Job:
    """What a stage is given.

    Attributes:
        record: the recipe.
        output: the artifact to write.
        results: folder of the artifacts.
        root: folder that image paths are relative to (dataset.root).
        workers: processes or threads that load photos.
        device: auto, cpu, cuda or cuda:N.
        checkpoint_minutes: interval at which trainers save their state.
        events: of this attempt.
        inputs: folder that holds the artifacts it reads; none: results.
        ranks: this process among those that train together.
    """

    record: Record
    output: Path
    results: Path
    root: Path
    workers: int = 0
    device: str = "auto"
    checkpoint_minutes: float = 5
    events: Events = field(default_factory=Events)
    inputs: Path | None = None
    ranks: Ranks = field(default_factory=Ranks)

    def setting(self, path: str) -> Any:
        """Value of a config path that the stage declares."""
        return self.record.spec["config"][path]

    def fact(self, name: str) -> Any:
        """A fact about the data from the spec, such as `classes`."""
        return self.record.spec[name]

    @cached_property
    def images(self) -> list[ImageEntry]:
        """Images of the job, sorted by image_id."""
        return sorted(entry for path in self.record.images for entry in read_list(self.results / path))

    def photo(self, entry: ImageEntry) -> Path:
        """Path of a photo."""
        return self.root / entry.path

    def parents(self, stage: str) -> list[Path]:
        """Artifacts of a stage that the job reads."""
        return [self._input(parent) for parent in self.record.parents if parent.stage == stage]

    def parent(self, stage: str) -> Path:
        """The one artifact of a stage that the job reads."""
        (path,) = self.parents(stage)
        return path

    def masks(self, variant: str) -> tuple[tuple[str, ...], list[Path]]:
        """Which masks a variant or a segmenter has, semantic or instance, and its artifacts that the job reads."""
        made = [
            parent
            for parent in self.record.parents
            if parent.stage in MASKS_OF_STAGE
            if read_record(record_path(self.results, parent.recipe)).spec["variant"] == variant
        ]
        held = MASKS_OF_STAGE[made[0].stage] if made else ()
        return held, [self._input(parent) for parent in made]

    def _input(self, parent: Parent) -> Path:
        return (self.inputs or self.results) / parent.path

    @property
    def truth(self) -> Path:
        """List of the ground truth."""
        return self.results / INDEX / str(self.fact("truth")) / TRUTH_NAME

    @property
    def work(self) -> Path:
        """Side folder for checkpoints; survives a failed job."""
        return self.results / WORK / self.record.stage / self.record.recipe

    def progress(self, items: Iterable[ImageEntry], total: int | None = None) -> Iterator[ImageEntry]:
        """Iterate with a progress line."""
        count = len(self.images) if total is None else total
        return Progress(total=count, title=self.record.label, unit="images", events=self.events).over(items)


@contextmanager
def turn(job: Job) -> Iterator[bool]:
    """Within the block, no other job makes the artifact: rank 0 holds the lock of the work folder.

    Yields:
        Whether the artifact is still to be made.
    """
    if job.ranks.leads:
        with exclusive(job.work):
            missing = not job.output.exists()
            job.ranks.tell("to be made", str(missing))
            yield missing
    else:
        yield job.ranks.hear("to be made") == str(True)
