"""What a run would make: artifacts of a plan that are missing, where files stand in for those that are not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from first_stages import changed
from irnet_pipe.config import parse_config
from irnet_pipe.plan import Artifact, Plan
from irnet_pipe.workflow import prepare


class StandIns:
    """A results folder and a folder of outputs in which empty files stand in for what stages make.

    Args:
        values: of a config; may be changed between calls.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    def finished(cls, values: dict[str, Any], photos: Path, folder: Path) -> StandIns:
        """A finished run on a copy of a photo set, which may be changed."""
        run = cls(changed(values, **{"dataset.root": str(shutil.copytree(photos, folder / "my photos"))}))
        run.make()
        return run

    def plan(self) -> Plan:
        """Plan of the values as they are; its records are written."""
        return prepare(parse_config(self.values)).plan

    def path(self, artifact: Artifact) -> Path:
        """Where an artifact lies; of a publication its marker."""
        runtime = self.values["runtime"]
        if artifact.stage == "publish":
            return Path(runtime["outputs"], self.values["run"], f"recipe-{artifact.recipe}.json")
        return Path(runtime["results"], artifact.path)

    def make(self) -> None:
        """Make what is missing."""
        for artifact in self.missing():
            path = self.path(artifact)
            path.parent.mkdir(parents=True, exist_ok=True)
            if artifact.stage == "publish":
                for marker in path.parent.glob("recipe-*.json"):
                    marker.unlink()
                path.with_name("masks.json").touch()
            path.touch()

    def missing(self) -> list[Artifact]:
        """Artifacts that the target is made of and that are not there; below one that is there, none is."""
        found: dict[str, Artifact] = {}
        todo = [self.plan().targets[0]]
        while todo:
            artifact = todo.pop()
            if artifact.recipe not in found and not self.path(artifact).exists():
                found[artifact.recipe] = artifact
                todo += artifact.parents
        return list(found.values())
