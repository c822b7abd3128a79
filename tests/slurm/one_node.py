"""A real Slurm of one node on this machine: munged, slurmctld and slurmd, started and stopped by the tests.

The jobs' inner srun reads /etc/slurm, so the configuration has to lie there; one that is not of these tests is left
alone, and no cluster is started beside it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

CONFIG = Path("/etc/slurm")
MARK = "# written by the tests of irnet_pipe; removed when they end\n"
PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
TIED = ("setpriv", "--pdeathsig", "TERM")
"""Before a command: it is ended when the tests are killed, which then cannot clean up."""
PARTITION = "main"
CPUS = 8
"""What the node claims to have, whatever the machine has: the jobs of the profile must fit."""
PATIENCE = 600
"""Seconds; longer than anything takes that does not hang."""


def why_not() -> str | None:
    """Why no Slurm can be started here; None where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "the daemons want root"
    for path in (CONFIG / "slurm.conf", CONFIG / "gres.conf"):
        if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
            return f"{path} is not of these tests"
    return None


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class OneNode:
    """The daemons; `folder` takes their state and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._had_folder = CONFIG.exists()

    def start(self) -> None:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(mode=0o700)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        CONFIG.mkdir(exist_ok=True)
        (CONFIG / "slurm.conf").write_text(self._slurm_conf(), encoding="utf-8")
        (CONFIG / "gres.conf").write_text(f"{MARK}Name=gpu Count=1 File=/dev/null\n", encoding="utf-8")
        munge = self.folder / "munge"
        files = [f"--{name}-file={munge / name}" for name in ("key", "seed", "pid", "log") if name != "key"]
        # --force: the folder of the tests may lie below one that others may write to
        self._run(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self._socket}", *files
        )
        wait_until(self._socket.exists, "munged listens", seconds=20)
        self._run("slurmctld", "-D", "-c")
        self.start_slurmd()

    def start_slurmd(self) -> None:
        self._run("slurmd", "-D", "-N", "localhost")
        wait_until(lambda: self.node_state() in {"IDLE", "MIXED", "ALLOCATED"}, "the node is up")

    def kill_slurmd(self) -> None:
        """Kill -9 slurmd alone: the jobs' steps have processes of their own."""
        slurmd = self._daemons.pop("slurmd")
        slurmd.kill()
        slurmd.wait()

    def stop(self) -> None:
        """End jobs and daemons, and leave /etc/slurm as it was."""
        try:
            if "slurmd" in self._daemons:
                self.cancel_all()
        finally:
            for daemon in reversed(self._daemons.values()):
                daemon.terminate()
            for daemon in reversed(self._daemons.values()):
                try:
                    daemon.wait(20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
            for name in ("slurm.conf", "gres.conf"):
                (CONFIG / name).unlink(missing_ok=True)
            if not self._had_folder:
                CONFIG.rmdir()

    def cancel_all(self) -> None:
        """Cancel what is queued or runs, and wait until it has ended."""
        for job_id in self.jobs():
            self.command("scancel", job_id)
        try:
            wait_until(lambda: not self.jobs(), "cancelled jobs end", seconds=30)
        except TimeoutError:
            for job_id in self.jobs():
                self.command("scancel", "--signal=KILL", "--full", job_id)

    def jobs(self) -> dict[str, str]:
        """State (such as PENDING, RUNNING) of each job that has not ended, by its id."""
        rows = self.command("squeue", "--noheader", "--format=%i %T").split("\n")
        return dict(row.split() for row in rows if row)  # type: ignore[misc]

    def node_state(self) -> str:
        """State of the node, such as IDLE or IDLE+DRAIN; empty while the controller does not answer."""
        try:
            text = self.command("scontrol", "show", "node", "localhost", "--oneliner")
        except subprocess.CalledProcessError:
            return ""
        return next(word.removeprefix("State=") for word in text.split() if word.startswith("State="))

    def hold(self) -> None:
        """Let jobs wait in the queue."""
        self.command("scontrol", "update", f"PartitionName={PARTITION}", "State=DOWN")

    def release(self) -> None:
        self.command("scontrol", "update", f"PartitionName={PARTITION}", "State=UP")

    def command(self, *words: str) -> str:
        """Run a command of Slurm; returns what it prints."""
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def _socket(self) -> Path:
        return self.folder / "munge" / "socket"

    def _run(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self._daemons[name] = subprocess.Popen([*TIED, name, *words], stdout=log, stderr=log)

    def _slurm_conf(self) -> str:
        values = {
            "ClusterName": "tests",
            "SlurmctldHost": "localhost(127.0.0.1)",
            "SlurmctldPort": free_port(),
            "SlurmdPort": free_port(),
            "SlurmUser": "root",
            "AuthInfo": f"socket={self._socket}",
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.pid",
            "SlurmctldLogFile": self.folder / "slurmctld.log",
            "SlurmdLogFile": self.folder / "slurmd.log",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "SelectType": "select/cons_tres",
            "GresTypes": "gpu",
            "AccountingStorageType": "accounting_storage/none",
            "JobCompType": "jobcomp/none",
            "MpiDefault": "none",
            "ReturnToService": 2,
            "SchedulerParameters": "sched_interval=2,bf_interval=5",
            "SlurmdParameters": "config_overrides",
        }
        node = f"NodeName=localhost NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=64000 Gres=gpu:1 State=UNKNOWN"
        partition = f"PartitionName={PARTITION} Nodes=localhost Default=YES MaxTime=INFINITE State=UP"
        return MARK + "".join(f"{key}={value}\n" for key, value in values.items()) + f"{node}\n{partition}\n"
