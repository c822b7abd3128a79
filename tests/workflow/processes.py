"""Processes of a session: what tests kill and count."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

STAGE = re.compile(r"-m irnet_pipe(?:\.(publish)| (\w+)) --recipe")


def processes(session: int) -> dict[int, str]:
    """Processes of a session: pid → command line; those that have ended and are not yet waited for left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(path.name)) == session:
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:
                    found[int(path.name)] = command
    return found


def stages(session: int) -> dict[int, str]:
    """Stages at work in a session: pid → stage."""
    found = {pid: STAGE.search(command) for pid, command in processes(session).items()}
    # the shell that a stage was started by has the same words in its command line
    shells = {pid for pid in found if Path(f"/proc/{pid}/comm").exists() and _name(pid) == "bash"}
    return {pid: match[1] or match[2] for pid, match in found.items() if match and pid not in shells}


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def orphans(session: int, *, seconds: float = 20) -> list[str]:
    """Command lines of a session's processes that are still there after some seconds."""
    end = time.monotonic() + seconds
    while (left := processes(session)) and time.monotonic() < end:
        time.sleep(0.05)
    return list(left.values())


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a process and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
