"""Leases of devices that do not exist, by processes that do."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections import defaultdict
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from irnet_pipe.errors import InputError
from irnet_pipe.runtime import lease as module
from irnet_pipe.runtime.events import Events, read_events
from irnet_pipe.runtime.lease import Device, lease, parse_gpus, visible_devices

DEVICES = [Device("0", "GPU-a"), Device("1", "GPU-b")]
HOLDER = """
import os, sys, time
from irnet_pipe.runtime import lease
from irnet_pipe.runtime.events import Events
lease.POLL_SECONDS = 0.01
devices = [lease.Device("0", "GPU-a"), lease.Device("1", "GPU-b")]
with lease.lease(sys.argv[1], label="job", events=Events(), devices=devices, number=int(sys.argv[3])):
    assert "torch" not in sys.modules
    start = time.monotonic()
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    eval(sys.argv[2])
    print(start, time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "leases"
    monkeypatch.setenv("IRNET_PIPE_LEASES", str(folder))
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_JOB_ID"):
        # set first, so that what a lease sets is taken back as well
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    return folder


def start(wanted: str, then: str, *, number: int = 1) -> subprocess.Popen[str]:
    """A process that leases devices, prints their names, evaluates `then`, and prints when it held the lease."""
    command = [sys.executable, "-c", HOLDER, wanted, then, str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def waits(process: subprocess.Popen[str]) -> str:
    """The line in which a process says that it waits; blocks until it comes."""
    return process.stderr.readline()


def test_eight_processes_share_two_devices(folder):
    with (
        lease("cuda", label="one", events=Events(), devices=DEVICES),
        lease("cuda", label="two", events=Events(), devices=DEVICES),
    ):
        processes = [start("auto", "time.sleep(0.05)") for _ in range(8)]
        lines = [waits(process) for process in processes]
    assert lines == [f"job: waits for a CUDA device; other jobs hold 0, 1 ({folder})\n"] * 8
    held = defaultdict(list)
    for process in processes:
        output, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, "")
        device, times = output.splitlines()
        held[device].append(tuple(float(moment) for moment in times.split()))
    assert set(held) == {"0", "1"} and sum(map(len, held.values())) == 8
    for intervals in held.values():
        intervals.sort()
        for (_, end), (begin, _) in pairwise(intervals):
            assert end <= begin


def test_jobs_that_want_both_devices_do_not_wait_for_each_other():
    with lease("cuda", label="one", events=Events(), devices=DEVICES[:1]):
        with lease("cuda", label="two", events=Events(), devices=DEVICES[1:]):
            processes = [start("auto", "time.sleep(0.02)", number=2) for _ in range(5)]
            processes += [start("auto", "time.sleep(0.02)")]
            for process in processes:
                assert "job: waits for a CUDA device" in waits(process)
        time.sleep(0.3)  # one of them takes the device that is free, and wants the other
    held = []
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        devices, times = output.splitlines()
        held.append((*(float(moment) for moment in times.split()), set(devices.split(","))))
    assert sorted(len(devices) for *_, devices in held) == [1, 2, 2, 2, 2, 2]
    for (_, end, devices), (begin, _, others) in combinations(sorted(held, key=lambda one: one[0]), 2):
        assert end <= begin or not devices & others


def test_several_devices_are_seen_together(tmp_path):
    events = Events(tmp_path / "events.jsonl")
    with lease("cuda", label="job", events=events, devices=DEVICES, number=2) as name:
        assert (name, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "0,1")
    (leased,) = read_events(tmp_path / "events.jsonl")
    assert (leased["event"], leased["device"]) == ("leased", "0,1")


@pytest.mark.parametrize(("wanted", "devices"), [("cuda", DEVICES[:1]), ("cuda:1", DEVICES)])
def test_more_devices_than_there_are(wanted, devices):
    with (
        pytest.raises(
            InputError, match=r"on 2 devices, but this job may use 1 \([01]\); lower runtime\.devices_per"
        ),
        lease(wanted, label="job", events=Events(), devices=devices, number=2),
    ):
        pass


def test_lease_of_a_killed_holder_is_free_at_once():
    holder = start("cuda:0", "input()")
    assert holder.stdout.readline() == "0\n"
    twin = start("cuda:0", "None")
    assert "waits for a CUDA device; other jobs hold 0 (" in waits(twin)
    holder.kill()
    holder.communicate()
    output, _ = twin.communicate(timeout=60)
    assert output.startswith("0\n") and twin.returncode == 0


def test_lease_ends_with_the_block_even_if_a_child_lives_on():
    holder = start("cuda:0", "os.fork() or input()")
    holder.wait(timeout=60)
    twin = start("cuda:0", "None")
    output, _ = twin.communicate(timeout=60)
    assert output.startswith("0\n") and twin.returncode == 0
    holder.communicate()  # its input ends, and with it the child


@pytest.mark.parametrize(
    ("wanted", "seen", "visible"),
    [("auto", "auto", "0"), ("cuda", "cuda", "0"), ("cuda:0", "cuda:0", "0"), ("cuda:1", "cuda:0", "1")],
)
def test_the_leased_device_is_the_only_one_to_be_seen(wanted, seen, visible):
    with lease(wanted, label="job", events=Events(), devices=DEVICES) as name:
        assert name == seen
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize(
    ("wanted", "devices"), [("cpu", DEVICES), ("auto", []), ("cuda", []), ("cuda:2", DEVICES)]
)
def test_no_device_no_lease(folder, wanted, devices):
    with lease(wanted, label="job", events=Events(), devices=devices) as name:
        assert name == wanted
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not folder.exists()


def test_devices_are_those_of_the_environment(monkeypatch, folder):
    monkeypatch.setattr(module, "list_gpus", list)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-x")
    with lease("cuda:1", label="job", events=Events()):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-x"
    assert [path.name for path in folder.iterdir()] == ["GPU-x.lock"]


def test_waiting_and_lease_are_events(tmp_path, capsys, monkeypatch):
    events = Events(tmp_path / "events.jsonl")
    with lease("cuda", label="job", events=Events(), devices=DEVICES[:1]) as _:
        polls = []

        def sleep(seconds: float) -> None:
            polls.append(seconds)
            if len(polls) == 3:
                # as if the holder had ended
                for path in (tmp_path / "leases").iterdir():
                    path.unlink()

        monkeypatch.setattr(module.time, "sleep", sleep)
        with lease("cuda", label="twin", events=events, devices=DEVICES[:1]):
            pass
    waiting, leased = read_events(tmp_path / "events.jsonl")
    assert (waiting["event"], waiting["devices"]) == ("waiting", ["0"])
    assert (leased["event"], leased["device"]) == ("leased", "0")
    assert leased["waited_seconds"] >= 0
    assert capsys.readouterr().err.count("twin: waits") == 1


def test_folder_and_locks_are_for_all_users(folder):
    with lease("cuda", label="job", events=Events(), devices=DEVICES):
        pass
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / "GPU-a.lock").stat().st_mode & 0o777 == 0o666


def test_no_link_is_followed(folder, tmp_path):
    folder.mkdir()
    (folder / "GPU-a.lock").symlink_to(tmp_path / "precious")
    with (
        pytest.raises(InputError, match=r"GPU-a\.lock: cannot be locked .*set IRNET_PIPE_LEASES to a folder"),
        lease("cuda", label="job", events=Events(), devices=DEVICES),
    ):
        pass
    assert not (tmp_path / "precious").exists()


def test_folder_that_cannot_be_made(folder):
    folder.write_text("a file")
    with (
        pytest.raises(InputError, match=r"cannot be locked \(Not a directory\)"),
        lease("cuda", label="job", events=Events(), devices=DEVICES),
    ):
        pass


def test_file_system_without_locks(monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(InputError, match=r"No locks available\); .* or runtime\.device: cpu"),
        lease("cuda", label="job", events=Events(), devices=DEVICES),
    ):
        pass


LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-aaaa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22222222-bbbb)
  MIG 3g.20gb     Device  0: (UUID: MIG-33333333-cccc)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-22222222-bbbb/2/0)
"""
GPUS = [["GPU-11111111-aaaa"], ["GPU-22222222-bbbb", "MIG-33333333-cccc", "MIG-GPU-22222222-bbbb/2/0"]]


def test_listing_of_the_driver():
    assert parse_gpus(LISTING) == GPUS
    assert parse_gpus("No devices were found\n") == []


def test_listing_is_asked_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && cat <<'END'\n{LISTING}END\n")
    program.chmod(0o755)
    assert module.list_gpus() == GPUS
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert module.list_gpus() == []
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert module.list_gpus() == []


PLAIN = [["GPU-a1"], ["GPU-b2"], ["GPU-c3"]]


@pytest.mark.parametrize(
    ("environment", "gpus", "expected"),
    [
        ({}, PLAIN[:2], [("GPU-a1", "GPU-a1"), ("GPU-b2", "GPU-b2")]),
        ({}, GPUS, [(uuid, uuid) for uuid in (GPUS[0][0], *GPUS[1][1:])]),
        ({}, [], []),
        ({"CUDA_VISIBLE_DEVICES": "2, 0"}, PLAIN, [("2", "GPU-c3"), ("0", "GPU-a1")]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-b"}, PLAIN, [("GPU-b", "GPU-b2")]),
        ({"CUDA_VISIBLE_DEVICES": "MIG-33333333-cccc"}, GPUS, [("MIG-33333333-cccc",) * 2]),
        ({"CUDA_VISIBLE_DEVICES": ""}, PLAIN, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, PLAIN, []),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, PLAIN, []),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, PLAIN, [("1", "GPU-b2")]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, [], [("1", "gpu-1")]),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "77"}, [], [("0", "gpu-77-0")]),
        # a job of Slurm that sees its own device alone: index 0 is another GPU in another job
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "2"}, PLAIN[2:], [("0", "GPU-c3")]),
        ({"SLURM_JOB_GPUS": "2"}, PLAIN[2:], [("GPU-c3", "GPU-c3")]),
        ({"SLURM_JOB_GPUS": "1,2"}, PLAIN, [("1", "GPU-b2"), ("2", "GPU-c3")]),
    ],
)
def test_devices_that_a_process_may_use(environment, gpus, expected):
    found = visible_devices(environment, gpus=gpus)
    assert [(device.name, device.identity) for device in found] == expected
