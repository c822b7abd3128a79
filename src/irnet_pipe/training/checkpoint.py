"""Checkpoints: the state from which an interrupted training goes on to the bytes of an uninterrupted one."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.artifacts.weights import load_tensors, save_tensors
from irnet_pipe.errors import ArtifactError, is_machine_fault

KEPT = 2
"""The one before the last is there in case the disk has damaged the last."""


class Checkpoints:
    """The checkpoints of one recipe in its work folder, whose lock the caller holds.

    Args:
        folder: where they lie, `checkpoint-<step>.pth` each.
        recipe: of the artifact in training.
    """

    def __init__(self, folder: Path, *, recipe: str) -> None:
        self.folder = folder
        self.recipe = recipe

    def save(self, state: dict[str, Any], *, step: int) -> None:
        """Save the state after `step` steps, atomically; the last `KEPT` remain."""
        with atomic_path(self.folder / f"checkpoint-{step:09d}.pth") as temporary:
            save_tensors({"recipe": self.recipe, "step": step, "state": state}, temporary)
        for path in self._paths()[:-KEPT]:
            path.unlink()

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """Steps done and state of the newest checkpoint that can be read; None where there is none.

        Raises:
            ArtifactError: a checkpoint belongs to another recipe.
        """
        for path in reversed(self._paths()):
            try:
                content = load_tensors(path)
            except (
                OSError,
                EOFError,
                RuntimeError,
                ValueError,
                UnpicklingError,
                zipfile.BadZipFile,
            ) as error:
                if is_machine_fault(error):
                    raise
                sys.stderr.write(f"{path}: damaged ({error}); going on from the checkpoint before it\n")
                path.unlink()
                continue
            if content["recipe"] != self.recipe:
                raise ArtifactError(
                    f"{path}: checkpoint of recipe {content['recipe']}, not {self.recipe}; delete the folder"
                )
            return content["step"], content["state"]
        return None

    def clear(self) -> None:
        """Remove what a finished artifact has made useless; what cannot be removed stays and does no harm."""
        for path in self.folder.glob("*checkpoint-*"):
            try:
                path.unlink()
            except OSError as error:
                sys.stderr.write(f"{path}: not removed ({error.strerror})\n")

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*.pth"))
