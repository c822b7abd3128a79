"""What is written of an attempt at an artifact, and read again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irnet_pipe import __version__
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.recipes import Record
from irnet_pipe.runtime import facts
from irnet_pipe.runtime.attempts import attempt, facts_path, read_attempts
from irnet_pipe.runtime.events import Events, events_path, read_events
from irnet_pipe.runtime.facts import facts_of_end, git_commit, peak_memory

RECORD = Record("a" * 16, "infer_cam", 1, "train-00-of-02", "infer_cam seed 0", "x.h5", {}, (), (), {})


def facts_of(results: Path) -> dict:
    return json.loads(facts_path(results, RECORD).read_text(encoding="utf-8"))


def test_facts_of_an_attempt(tmp_path):
    with attempt(RECORD, tmp_path) as events:
        events.write("progress", done=1)
    path = tmp_path / "events" / "infer_cam" / f"train-00-of-02.{'a' * 16}.jsonl"
    assert [event["event"] for event in read_events(path)] == ["started", "progress", "ended"]
    assert (
        facts_path(tmp_path, RECORD) == tmp_path / "facts" / "infer_cam" / f"train-00-of-02.{'a' * 16}.json"
    )
    told = facts_of(tmp_path)
    assert (told["stage"], told["unit"], told["recipe"]) == ("infer_cam", "train-00-of-02", "a" * 16)
    assert told["pid"] == os.getpid()
    assert told["irnet_pipe"] == __version__
    assert told["cpus"] == len(os.sched_getaffinity(0))
    assert (told["outcome"], told["error"]) == ("ok", None)
    assert told["start"] < told["end"]
    assert 0 <= told["wall_seconds"] < told["user_seconds"] + told["system_seconds"] + 60
    assert 1 << 20 < told["peak_memory"] < 1 << 40
    assert told["host"] and told["python"] and told["torch"]


@pytest.mark.parametrize(
    ("error", "outcome", "text"),
    [
        (InputError("a.h5: damaged"), "failed", "a.h5: damaged"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError()"),
        (Interrupted("saved at step 3"), "interrupted", "saved at step 3"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt()"),
    ],
)
def test_an_end_by_error_is_told_and_passed_on(tmp_path, error, outcome, text):
    with pytest.raises(type(error)), attempt(RECORD, tmp_path):
        raise error
    told = facts_of(tmp_path)
    assert (told["outcome"], told["error"]) == (outcome, text)
    assert [found.outcome for found in read_attempts(tmp_path, RECORD)] == [outcome]


def test_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path, capsys):
    (tmp_path / "results").write_text("a file")
    with attempt(RECORD, tmp_path / "results") as events:
        events.write("progress", done=1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("warning: ") for line in lines)


def test_every_attempt_is_kept(tmp_path):
    with pytest.raises(InputError), attempt(RECORD, tmp_path):
        raise InputError("first")
    with attempt(RECORD, tmp_path):
        pass
    first, second = read_attempts(tmp_path, RECORD)
    assert (first.outcome, second.outcome) == ("failed", "ok")
    assert first.start <= second.start
    assert second.cpu_seconds > 0 and second.peak_memory > 0 and second.host
    assert second.peak_device_memory is None
    assert facts_of(tmp_path)["outcome"] == "ok"


def test_a_killed_attempt_lasted_until_its_last_event(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from irnet_pipe.recipes import Record
from irnet_pipe.runtime.attempts import attempt
record = Record("a" * 16, "infer_cam", 1, "train-00-of-02", "x", "x.h5", {{}}, (), (), {{}})
with attempt(record, Path({str(tmp_path)!r})) as events:
    events.write("progress", done=1)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    (found,) = read_attempts(tmp_path, RECORD)
    started, progress = read_events(events_path(tmp_path, RECORD))
    times = [datetime.fromisoformat(event["time"]) for event in (started, progress)]
    assert found.outcome == "killed"
    assert (found.start, found.seconds) == (times[0], (times[1] - times[0]).total_seconds())
    assert found.cpu_seconds is None and found.host == started["host"]


def test_time_of_waiting_for_a_device_is_no_work(tmp_path):
    with attempt(RECORD, tmp_path) as events:
        events.write("waiting", devices=["0"])
        events.write("leased", device="0", waited_seconds=-7.5)
    (found,) = read_attempts(tmp_path, RECORD)
    ended = facts_of(tmp_path)
    assert found.seconds == pytest.approx(ended["wall_seconds"] + 7.5)
    leased = next(e for e in read_events(events_path(tmp_path, RECORD)) if e["event"] == "leased")
    assert found.start == datetime.fromisoformat(leased["time"])


def test_damaged_and_missing_events(tmp_path):
    assert read_attempts(tmp_path, RECORD) == []
    path = events_path(tmp_path, RECORD)
    with attempt(RECORD, tmp_path):
        pass
    Events(path).write("ended")  # its start is lost
    broken = Events(path)
    broken.write("started", host="x")
    broken.write("ended", outcome="ok")
    assert len(read_attempts(tmp_path, RECORD)) == 1


def test_start_is_the_time_of_the_event(tmp_path):
    with attempt(RECORD, tmp_path):
        pass
    (found,) = read_attempts(tmp_path, RECORD)
    assert timedelta(0) <= datetime.now(UTC) - found.start < timedelta(minutes=5)


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_memory() >= before
    code = "from irnet_pipe.runtime.facts import peak_memory; print(peak_memory())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(child.stdout) < len(held), "the peak of the process that started it does not count"


class FakeCuda:
    def __init__(self, *, works: bool) -> None:
        self.works = works

    def is_initialized(self) -> bool:
        return True

    def get_device_name(self) -> str:
        if not self.works:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return "NVIDIA Test"

    def max_memory_allocated(self) -> int:
        return 123


@pytest.mark.parametrize(("works", "expected"), [(True, ("NVIDIA Test", 123)), (False, ("cuda", None))])
def test_device_in_use(monkeypatch, works, expected):
    monkeypatch.setitem(sys.modules, "torch", type("torch", (), {"cuda": FakeCuda(works=works)}))
    found = facts_of_end()
    assert (found["device"], found["peak_device_memory"]) == expected


def test_process_without_torch_has_no_device(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert facts_of_end()["device"] == "cpu"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_commit_of_a_clone(tmp_path):
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_no_git_no_commit(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    assert git_commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_absent_package_has_no_version():
    assert facts._version("no-such-package-anywhere") is None
