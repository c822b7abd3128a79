"""Leases of CUDA devices: jobs of one machine that need devices get them for themselves, or wait.

A lease is a file lock, so the kernel ends it with its holder, however that dies. The folder of locks serves the whole
machine and all its users. No torch here: `CUDA_VISIBLE_DEVICES` has to be set before torch looks for devices.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from irnet_pipe.errors import InputError
from irnet_pipe.runtime.events import Events

FOLDER_VARIABLE = "IRNET_PIPE_LEASES"
# Not the user's own folder: devices are shared by all users, and by sessions with and without a runtime folder.
DEFAULT_FOLDER = "/tmp/irnet_pipe-leases"
POLL_SECONDS = 0.5
LIST_SECONDS = 60
TURN = "several"
"""Name of the lock that a job holds while it gathers several devices: two that held half each would wait for ever."""


@dataclass(frozen=True)
class Device:
    """A CUDA device.

    Attributes:
        name: its name in CUDA_VISIBLE_DEVICES: an index, or a UUID of a GPU or of a MIG device.
        identity: the same for all processes of the machine, whatever they call it.
    """

    name: str
    identity: str


@contextmanager
def lease(
    wanted: str, *, label: str, events: Events, number: int = 1, devices: Sequence[Device] | None = None
) -> Iterator[str]:
    """Hold devices within the block; waits while other jobs hold them.

    Args:
        wanted: auto or cuda (any device), cuda:N (the N-th in the order of CUDA_VISIBLE_DEVICES, else of
            `nvidia-smi -L`), or cpu (none).
        label: of the job, for messages.
        events: told of waiting and of the lease.
        number: of devices; more than one are for the ranks of a training, which see all of them.
        devices: to choose from; by default those that the process may use.

    Yields:
        The name under which torch sees the devices: `wanted`, but cuda:0 for cuda:N. Where there is no such device,
        `wanted` as it is, for `use_device` to judge.

    Raises:
        InputError: the folder of locks cannot be used, or there are fewer devices than `number`.
    """
    if wanted == "cpu":
        yield wanted
        return
    if devices is None:
        devices = visible_devices(os.environ, gpus=list_gpus())
    numbered = re.fullmatch(r"cuda:(\d+)", wanted)
    if numbered:
        position = int(numbered[1])
        devices = devices[position : position + 1]
    if not devices:
        yield wanted
        return
    if len(devices) < number:
        raise InputError(
            f"runtime.device: {wanted}: a training on {number} devices, but this job may use {len(devices)} "
            f"({', '.join(device.name for device in devices)}); lower runtime.devices_per_training, or give the job "
            f"more GPUs (resources: gpu: {number} in the profile)"
        )
    with _hold(devices, number, label=label, events=events) as names:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
        yield "cuda:0" if numbered else wanted


def list_gpus() -> list[list[str]]:
    """UUIDs of each GPU of the machine, those of its MIG devices after its own; none without a driver."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=LIST_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(done.stdout)


def parse_gpus(listing: str) -> list[list[str]]:
    """UUIDs from what `nvidia-smi -L` prints, as `list_gpus` gives them."""
    gpus: list[list[str]] = []
    for line in listing.splitlines():
        found = re.search(r"\(UUID: ([\w/-]+)\)", line)
        if found and line.startswith("GPU "):
            gpus.append([found[1]])
        elif found and gpus:
            gpus[-1].append(found[1])
    return gpus


def visible_devices(environment: Mapping[str, str], *, gpus: Sequence[Sequence[str]]) -> list[Device]:
    """The devices that a process may use: those that a scheduler or a person has given it, else all.

    Args:
        environment: CUDA_VISIBLE_DEVICES counts, else SLURM_JOB_GPUS.
        gpus: as `list_gpus` gives them.
    """
    given = environment.get("CUDA_VISIBLE_DEVICES", environment.get("SLURM_JOB_GPUS"))
    if "CUDA_VISIBLE_DEVICES" not in environment and given and len(gpus) <= len(given.split(",")):
        given = None  # Slurm shows the job its own devices alone, which then count from 0
    if given is None:
        # A GPU that is cut into MIG devices is used through these.
        return [Device(uuid, uuid) for gpu in gpus for uuid in (gpu[1:] or gpu)]
    devices = []
    for name in (part.strip() for part in given.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", name):
            break  # as CUDA does: what follows an invalid name, such as -1 or NoDevFiles, is hidden
        devices.append(Device(name, _identity(name, environment, gpus=gpus)))
    return devices


def _identity(name: str, environment: Mapping[str, str], *, gpus: Sequence[Sequence[str]]) -> str:
    """The full UUID; of an index that the driver does not list, the index within its Slurm job or machine."""
    if name.isdecimal():
        if int(name) < len(gpus):
            return gpus[int(name)][0]
        return "-".join(filter(None, ("gpu", environment.get("SLURM_JOB_ID"), name)))
    found = [uuid for gpu in gpus for uuid in gpu if uuid.startswith(name)]
    return found[0] if len(found) == 1 else name


@contextmanager
def _hold(devices: Sequence[Device], number: int, *, label: str, events: Events) -> Iterator[list[str]]:
    """Hold so many of the devices; yields their names in the order of `devices`."""
    start = time.monotonic()
    held: list[Device] = []
    with ExitStack() as leases:
        with _hold_any([Device(TURN, TURN)], label=label, events=events) if number > 1 else nullcontext():
            while len(held) < number:
                free = [device for device in devices if device not in held]
                held.append(leases.enter_context(_hold_any(free, label=label, events=events)))
        names = [device.name for device in devices if device in held]
        waited = round(time.monotonic() - start, 3)
        events.write("leased", device=",".join(names), waited_seconds=waited)
        yield names


@contextmanager
def _hold_any(devices: Sequence[Device], *, label: str, events: Events) -> Iterator[Device]:
    told = False
    folder = Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
    names = ", ".join(device.name for device in devices)
    while True:
        for device in devices:
            file = _try_lock(folder, device)
            if file is not None:
                try:
                    yield device
                finally:
                    # A child that lives on would keep the lock if the file were only closed.
                    fcntl.flock(file, fcntl.LOCK_UN)
                    os.close(file)
                return
        if not told:
            told = True
            sys.stderr.write(f"{label}: waits for a CUDA device; other jobs hold {names} ({folder})\n")
            sys.stderr.flush()
            events.write("waiting", devices=[device.name for device in devices])
        time.sleep(POLL_SECONDS)


def _try_lock(folder: Path, device: Device) -> int | None:
    """Descriptor of the locked file; None where another process holds it.

    The file is opened anew at each try: one that was removed meanwhile would lock nobody out.
    """
    path = folder / (re.sub(r"[^\w-]", "_", device.identity) + ".lock")
    try:
        file = _open_shared(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        # Sweepers of temporary files look at its age.
        os.utime(file)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be locked ({error.strerror}); set {FOLDER_VARIABLE} to a folder on a local disk that all "
            "jobs of this machine may write to, or runtime.device: cpu"
        ) from None
    return file


def _open_shared(path: Path) -> int:
    """Open a lock file that every user may lock, in a folder where none may remove those of others."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o1777)
    file = os.open(path, flags | os.O_CREAT)
    with suppress(PermissionError):  # another user was faster
        os.fchmod(file, 0o666)
    return file
