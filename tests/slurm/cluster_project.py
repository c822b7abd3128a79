"""The tiny project on a Slurm, as profiles/slurm runs it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from one_node import TIED, wait_until
from tiny_project import ROOT, Project

TIMEOUT = 1800
"""Seconds; longer than any run that does not hang."""

WAIT_AT_STEPS = """
import time
from pathlib import Path

from irnet_pipe.runtime.progress import Progress

update = Progress.update


def waiting_update(*arguments, **metrics):
    if Path("slow").exists():
        time.sleep(1)
    return update(*arguments, **metrics)


Progress.update = waiting_update
"""
"""A sitecustomize.py: however fast the machine, a step takes a second while a file `slow` is there."""


class ClusterProject(Project):
    """A project whose stages run as jobs of Slurm."""

    run: subprocess.Popen[bytes]
    """The newest snakemake."""

    def slow_down(self) -> None:
        """From now on each step of a training takes a second."""
        (self.folder / "site").mkdir()
        (self.folder / "site" / "sitecustomize.py").write_text(WAIT_AT_STEPS, encoding="utf-8")
        (self.folder / "slow").touch()

    def speed_up(self) -> None:
        """From now on steps take what they take."""
        (self.folder / "slow").unlink()

    def command(self, *machine: str) -> dict[str, Any]:
        """As of a `Project`, with the folder of sitecustomize.py for all processes."""
        command = super().command(*machine)
        paths = [str(self.folder / "site"), os.environ.get("PYTHONPATH", "")]
        command["env"]["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        return command

    def submit(self, *arguments: str) -> None:
        """Start snakemake; it writes to `log`. The options beside the profile's shorten the waits."""
        # a profile's --config is replaced as a whole: workers would be started for nothing
        machine = ["--profile", str(ROOT / "profiles" / "slurm"), "--config", 'runtime={"workers": 0}']
        machine += ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]
        machine += ["--slurm-status-command", "squeue"]  # sacct wants accounting, which is not set up
        command = self.command(*machine, *arguments)
        command["args"] = [*TIED, *command["args"]]
        with self.log.open("ab") as log:
            self.run = subprocess.Popen(**command, stdout=log, stderr=log)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something has happened while snakemake runs."""
        try:
            wait_until(lambda: condition() or self.run.poll() is not None, what)
        except TimeoutError as error:
            pytest.fail(f"{error}\n{self.said}")
        assert self.run.poll() is None, self.said

    def finish(self) -> None:
        """Wait until snakemake has ended well."""
        assert self.run.wait(TIMEOUT) == 0, self.said

    def kill(self) -> None:
        """Kill -9 snakemake; its jobs stay."""
        self.run.kill()
        self.run.wait()

    @property
    def log(self) -> Path:
        """What snakemake said in all runs."""
        return self.folder / "snakemake.log"

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def job_ids(self) -> list[str]:
        """Jobs of Slurm that were submitted, in their order."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.said)

    def log_of(self, stage: str) -> str:
        """Log of the newest attempt at a stage of one artifact."""
        logs = (self.folder / "results" / "logs" / stage).glob("*.log")  # none just before an attempt
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    def made(self, stage: str) -> list[Path]:
        """Artifacts of a stage."""
        return sorted((self.folder / "results" / stage).glob("[!.]*"))

    def checkpoints(self, stage: str) -> list[Path]:
        """Checkpoints of a trainer that has not finished."""
        return sorted((self.folder / "results" / "work" / stage).glob("*/checkpoint-*.pth"))
