"""A tiny project in a folder of its own, run by snakemake as a person would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class Project:
    """A working folder with photos, a config file, and the results of runs.

    Attributes:
        sources: folder that holds the Snakefile, workflow, profiles and package.
    """

    sources = ROOT

    def __init__(self, folder: Path, photos: Path, values: dict[str, Any]) -> None:
        self.folder = folder
        self.photos = folder / "my photos"
        shutil.copytree(photos, self.photos)
        self.values = values
        self.values["dataset"]["root"] = self.photos.name
        self.values["runtime"] = {"results": "results", "outputs": "outputs", "device": "cpu", "workers": 0}

    def command(self, *machine: str) -> dict[str, Any]:
        """Arguments of subprocess for snakemake with the config as it is now; `machine` says where jobs run."""
        (self.folder / "my.yaml").write_text(yaml.safe_dump(self.values), encoding="utf-8")
        words = [sys.executable, "-m", "snakemake", "--snakefile", str(self.sources / "Snakefile")]
        words += ["--workflow-profile", str(self.sources / "profiles" / "default"), *machine]
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "default"}
        return {"args": [*words, "--configfile", "my.yaml"], "cwd": self.folder, "env": environment}

    def start(self, *arguments: str, cores: int = 2, **options: Any) -> subprocess.Popen[str]:
        """Start snakemake on this machine, in a session and process group of its own.

        Args:
            arguments: of snakemake.
            cores: of the run.
            options: of Popen; `env` adds to the environment.
        """
        command = self.command("--cores", str(cores), *arguments)
        command["env"] |= options.pop("env", {})
        return subprocess.Popen(**command, text=True, start_new_session=True, **options)

    def snakemake(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run snakemake with the config as it is now."""
        pipe = subprocess.PIPE
        with self.start(*arguments, cores=cores, stdout=pipe, stderr=pipe) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def run(self, *arguments: str, cores: int = 2) -> Counter[str]:
        """Run to the end; returns how many jobs of each rule ran."""
        done = self.snakemake(*arguments, cores=cores)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.jobs(done)

    def jobs(self, done: subprocess.CompletedProcess[str]) -> Counter[str]:
        """Jobs of each rule by snakemake's table of job counts."""
        table = re.search(
            r"^job +count\n[- ]+\n(.*?)^total ", done.stdout + done.stderr, re.MULTILINE | re.DOTALL
        )
        if table is None:
            return Counter()
        counts = Counter({row.split()[0]: int(row.split()[1]) for row in table[1].splitlines()})
        del counts["all"]
        return counts

    def artifacts(self) -> dict[str, bytes]:
        """Path below results → bytes, of all that stages have made."""
        results = self.folder / "results"
        volatile = {"index", "recipes", "logs", "benchmarks", "work", "events", "facts"}
        return {
            path.relative_to(results).as_posix(): path.read_bytes()
            for path in sorted(results.rglob("*"))
            if path.is_file() and path.relative_to(results).parts[0] not in volatile
            if not path.name.startswith(".")  # half a file, which a kill has left
        }

    def published(self) -> dict[str, bytes]:
        """Path below outputs → bytes, without what tells of time and cost."""
        outputs = self.folder / "outputs"
        return {
            path.relative_to(outputs).as_posix(): path.read_bytes()
            for path in sorted(outputs.rglob("*"))
            if path.is_file() and path.stem != "costs"
        }
