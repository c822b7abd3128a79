"""Volatile facts about a process: where it runs and what it takes. No artifact may depend on them."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from irnet_pipe import __version__

GIT_SECONDS = 10


def facts_of_start() -> dict[str, Any]:
    """Host, process, CPUs that it may use, versions, and the commit of the clone that it runs from."""
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "irnet_pipe": __version__,
        "git": git_commit(Path(__file__).parents[3]),
    }


def facts_of_end() -> dict[str, Any]:
    """What the process has taken so far: CPU seconds, its ended children included, and peaks of memory in bytes."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "user_seconds": round(own.ru_utime + children.ru_utime, 3),
        "system_seconds": round(own.ru_stime + children.ru_stime, 3),
        "peak_memory": peak_memory(),
        **_device(),
    }


def peak_memory() -> int:
    """Largest resident set of this process, bytes."""
    # getrusage would answer with the peak of the process that started this one, if that was larger
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _device() -> dict[str, Any]:
    """Name of the CUDA device in use and peak of what tensors took on it; torch is asked only if it is there."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {"device": "cpu", "peak_device_memory": None}
    try:
        return {
            "device": torch.cuda.get_device_name(),
            "peak_device_memory": torch.cuda.max_memory_allocated(),
        }
    except RuntimeError:  # after some errors a device answers nothing any more
        return {"device": "cuda", "peak_device_memory": None}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit(clone: Path) -> str | None:
    """The commit of a clone, with `-dirty` where tracked files differ from it; None where there is no clone."""
    if not (clone / ".git").exists():
        return None
    command = ["git", "-C", str(clone), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
