"""A tiny run whose artifacts are made once per process, as far as tests ask for them."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from pathlib import Path

from irnet_pipe.config import parse_config
from irnet_pipe.plan import Artifact
from irnet_pipe.recipes import read_record, record_path
from irnet_pipe.runtime.job import Job
from irnet_pipe.workflow import prepare


class Pipeline:
    """The plan of the tiny run, and its artifacts; networks that have learnt nothing stand in for trainers."""

    def __init__(self, values: dict, weights: dict[str, Path]) -> None:
        self.config = parse_config(values)
        self.weights = weights
        prepared = prepare(self.config)
        self.index, self.plan = prepared.index, prepared.plan
        self.results = Path(self.config.runtime.results)
        self.root = Path(self.config.dataset.root)

    def artifact(self, stage: str, variant: str | None = None) -> Artifact:
        """An artifact of a stage; of shards the one with most images."""
        found = self.plan.of(stage)
        if variant is not None:
            found = [artifact for artifact in found if artifact.record.spec["variant"] == variant]
        return max(found, key=lambda artifact: len(self.job(artifact).images))

    def job(self, artifact: Artifact) -> Job:
        """The job that makes an artifact."""
        record = read_record(record_path(self.results, artifact.recipe))
        return Job(record, self.results / record.path, self.results, self.root, device="cpu")

    def make(self, artifact: Artifact) -> Path:
        """Make an artifact and all that it is made of, unless it is there."""
        path = self.results / artifact.path
        if path.exists():
            return path
        if artifact.stage in self.weights:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.weights[artifact.stage], path)
            return path
        for parent in artifact.parents:
            self.make(parent)
        import_module(f"irnet_pipe.stages.{artifact.stage}").run(self.job(artifact))
        return path

    def job_in(self, folder: Path, stage: str, variant: str | None = None) -> Job:
        """A job that is yet to be run, with results of its own: parents may be replaced, not written into."""
        artifact = self.artifact(stage, variant)
        for parent in artifact.parents:
            self.make(parent)
        record = artifact.record
        results = folder / "results"
        for name in ("recipes", "index"):
            shutil.copytree(self.results / name, results / name, copy_function=os.link)
        for parent in record.parents:
            (results / parent.path).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.results / parent.path, results / parent.path)
        return Job(record, results / record.path, results, self.root, device="cpu")
