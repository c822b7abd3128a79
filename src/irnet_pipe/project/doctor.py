"""Whether this machine can run the workflow: a line for each part of it, ok or with the remedy.

Nothing that may fail to load, such as torch, is imported before the part that tells so.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from irnet_pipe.bundled_files import PROFILES
from irnet_pipe.runtime.lease import DEFAULT_FOLDER, FOLDER_VARIABLE, list_gpus

GIB = 1 << 30
PYTHONS = ((3, 11), (3, 13))
SNAKEMAKES = ((9, 3), (10,))
LEAST_DISK = 5 * GIB
LEAST_MEMORY = 4 * GIB
COMMAND_SECONDS = 30
SCHEDULERS = {"slurm": ("sbatch", ("sinfo", "-h")), "lsf": ("bsub", ("bqueues",))}
"""Scheduler → command that submits jobs, and one that fails where the scheduler does not answer."""
PLUGIN = "snakemake-executor-plugin-"


@dataclass(frozen=True)
class Finding:
    """One part of the machine.

    Attributes:
        part: its name.
        told: what was found.
        remedy: what to do; None where all is well.
        needed: whether nothing runs without the remedy; else it is for submitting jobs alone.
    """

    part: str
    told: str
    remedy: str | None = None
    needed: bool = True

    @property
    def wrong(self) -> bool:
        """Whether there is something to mend."""
        return self.remedy is not None and self.needed

    def __str__(self) -> str:
        """A line for a person."""
        verdict = "wrong" if self.wrong else "ok" if self.remedy is None else "note"
        return f"{verdict:<6}{self.part}: {self.told}" + (f"; {self.remedy}" if self.remedy else "")


def examine_machine(folder: Path) -> Iterator[Finding]:
    """Findings about the machine and about the folder in which snakemake would run."""
    yield python(sys.version_info[:2])
    gpus = list_gpus()
    for part, examine in (("torch", torch_parts), ("CUDA", partial(cuda, len(gpus)))):
        yield _guarded(part, examine)
    yield memory()
    yield disk(folder, shutil.disk_usage(folder).free)
    yield locks("file locks", folder, "set runtime.results to a file system with locks")
    if gpus:
        place = Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
        yield locks(
            "leases", place, f"set {FOLDER_VARIABLE} to a folder on a local disk that all may write to"
        )
    plugins = {name.removeprefix(PLUGIN) for name in _distributions() if name.startswith(PLUGIN)}
    yield snakemake(_version("snakemake"), shutil.which("snakemake"), sys.executable)
    yield profile(folder)
    yield scheduler(_schedulers(), plugins)


def _guarded(part: str, examine: Callable[[], Finding]) -> Finding:
    """A finding even where a package does not load, of which the errors are of any kind."""
    try:
        return examine()
    except Exception as error:  # noqa: BLE001
        reason = str(error).splitlines() or [type(error).__name__]
        return Finding(
            part, f"does not load ({reason[0]})", "pip install --force-reinstall torch torchvision"
        )


def python(version: tuple[int, int]) -> Finding:
    """Whether the interpreter is one of those that are supported."""
    low, high = (f"{major}.{minor}" for major, minor in PYTHONS)
    supported = PYTHONS[0] <= version <= PYTHONS[1]
    remedy = None if supported else f"install irnet-pipe under Python {low} to {high}"
    return Finding("Python", f"{version[0]}.{version[1]} ({sys.executable})", remedy)


def torch_parts() -> Finding:
    """Whether torch and torchvision were made for each other: a pair that was not lacks operators."""
    import torch
    import torchvision

    told = f"{torch.__version__}, torchvision {torchvision.__version__}"
    try:
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except RuntimeError:
        return Finding("torch", f"{told} do not match", "pip install --upgrade torch torchvision, together")
    return Finding("torch", told)


def cuda(gpus: int) -> Finding:
    """Whether torch computes on the GPUs that the driver lists."""
    import torch

    built = torch.version.cuda
    if not gpus and not torch.cuda.is_available():
        return Finding("CUDA", "no GPU listed by nvidia-smi: all is computed on the CPU")
    if not torch.cuda.is_available():
        return cuda_unseen(gpus, built=built, driver=_driver_cuda(), environment=os.environ)
    for number in range(torch.cuda.device_count()):
        try:
            torch.ones(8, device=f"cuda:{number}").sum().item()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            told = f"GPU {number} ({torch.cuda.get_device_name(number)}) does not compute ({reason})"
            return Finding(
                "CUDA",
                told,
                f"another program may hold it (nvidia-smi), or torch for CUDA {built} does not know it",
            )
    names = ", ".join(
        f"{torch.cuda.get_device_name(number)} "
        f"{torch.cuda.get_device_properties(number).total_memory / GIB:.0f} GiB"
        for number in range(torch.cuda.device_count())
    )
    return Finding("CUDA", f"{built}; {names}")


def cuda_unseen(
    gpus: int, *, built: str | None, driver: str | None, environment: Mapping[str, str]
) -> Finding:
    """Why torch sees none of the GPUs of the machine.

    Args:
        gpus: number that the driver lists.
        built: CUDA version that torch is built for; None for a build without CUDA.
        driver: newest CUDA version that the driver serves; None where it does not tell.
        environment: variables.
    """
    told = f"{gpus} GPUs, but torch sees none"
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not hidden.strip("-1 "):
        return Finding("CUDA", f"{told}: CUDA_VISIBLE_DEVICES is {hidden!r}", "unset it")
    if built is None:
        remedy = "install a build with CUDA, as https://pytorch.org/get-started says"
        return Finding("CUDA", f"{told}: it is built without CUDA", remedy)
    if driver is not None and _numbers(driver) < _numbers(built):
        remedy = f"update the driver, or install a torch built for CUDA {driver} or older"
        return Finding("CUDA", f"{told}: it is built for CUDA {built}, the driver serves {driver}", remedy)
    return Finding(
        "CUDA", told, "check that nvidia-smi ends without error and that /dev/nvidia* may be opened"
    )


def _driver_cuda() -> str | None:
    found = re.search(r"CUDA Version: ([\d.]+)", _output("nvidia-smi") or "")
    return found[1] if found else None


def memory() -> Finding:
    """Whether there is memory for the smallest of trainings."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    remedy = None if total >= LEAST_MEMORY else "use a machine with more, or a smaller batch and crop"
    return Finding("memory", f"{_gib(total)}, {os.cpu_count()} cores", remedy)


def disk(folder: Path, free: int) -> Finding:
    """Whether there is room for weights and a small run."""
    remedy = None
    if free < LEAST_DISK:
        remedy = f"free {_gib(LEAST_DISK - free)} or more, or set runtime.results to another disk"
    return Finding("disk", f"{_gib(free)} free below {folder.resolve()}", remedy)


def locks(part: str, folder: Path, remedy: str) -> Finding:
    """Whether files in a folder can be written and locked; a folder that is not there yet is judged by its parent."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Finding(part, f"{existing}: {error.strerror}", remedy)
    return Finding(part, f"work in {existing}")


def snakemake(version: str | None, command: str | None, interpreter: str) -> Finding:
    """Whether a supported Snakemake is of this Python, and the one that the shell finds.

    Args:
        version: of the package beside irnet_pipe.
        command: what the shell finds under the name.
        interpreter: of this Python.
    """
    low, high = SNAKEMAKES
    if version is None or not low <= _numbers(version) < high:
        told = "is not installed" if version is None else version
        return Finding("Snakemake", told, "pip install 'snakemake>=9.3,<10'")
    if command is not None and Path(command).parent.resolve() != Path(interpreter).parent.resolve():
        told = f"{version}, but the shell finds {command}, of another Python"
        return Finding("Snakemake", told, "activate this environment, or start runs by irnet-pipe run")
    return Finding("Snakemake", version)


def profile(folder: Path) -> Finding:
    """Whether the policy of every run, which snakemake loads by itself, lies in the folder as the package has it."""
    name = Path("profiles") / "default" / "config.yaml"
    if not (folder / "Snakefile").is_file():
        return Finding("profile", "no Snakefile here: not a folder to run in")
    if not (folder / name).is_file():
        return Finding("profile", f"{name} is missing", f"cp -r {PROFILES} .")
    return Finding("profile", f"{name} is there")


def scheduler(answers: Mapping[str, bool], plugins: Collection[str]) -> Finding:
    """Whether jobs can be handed to the scheduler of the machine.

    Args:
        answers: each scheduler whose commands are there → whether it answers.
        plugins: executors of Snakemake that are installed.
    """
    told = f"executor plug-ins: {', '.join(sorted(plugins)) or 'none'}"
    for name, answered in answers.items():
        if name not in plugins:
            remedy = f"pip install {PLUGIN}{name} to submit jobs"
            return Finding("scheduler", f"{name}; {told}", remedy, needed=False)
        if not answered:
            command = " ".join(SCHEDULERS[name][1])
            remedy = f"to submit jobs, see what `{command}` says"
            return Finding("scheduler", f"{name} does not answer", remedy, needed=False)
    return Finding("scheduler", f"{', '.join(answers) or 'none: jobs run on this machine'}; {told}")


def _schedulers() -> dict[str, bool]:
    return {
        name: _output(*question) is not None
        for name, (submit, question) in SCHEDULERS.items()
        if shutil.which(submit)
    }


def _output(*command: str) -> str | None:
    """Standard output of a command; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _distributions() -> Iterator[str]:
    return (item.name.lower().replace("_", "-") for item in metadata.distributions() if item.name)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / GIB:.1f} GiB"


def lines(findings: Sequence[Finding]) -> list[str]:
    """What the verb prints."""
    wrong = sum(finding.wrong for finding in findings)
    return [*map(str, findings), "all is well" if not wrong else f"{wrong} to mend"]
