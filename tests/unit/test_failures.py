"""What is said of failed jobs at the end of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from irnet_pipe.errors import STOPPED, InputError, Interrupted
from irnet_pipe.failures import failures
from irnet_pipe.recipes import Record
from irnet_pipe.runtime.attempts import attempt
from irnet_pipe.runtime.events import Events, events_path

START = datetime.now(UTC) - timedelta(hours=1)


def record(number: int = 0) -> Record:
    recipe = f"{number:016x}"
    path = f"infer_cam/all.{recipe}.h5"
    return Record(recipe, "infer_cam", 1, "all", f"job {number}", path, {}, (), (), {})


def run(results, record, error=None, log="") -> None:
    path = results / "logs" / "infer_cam" / f"all.{record.recipe}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(log, encoding="utf-8")
    try:
        with attempt(record, results):
            if error is not None:
                raise error
    except (InputError, Interrupted):
        pass


def told(results, *records, since=START) -> list[str]:
    return list(failures(records, results, since=since))


def test_failed_job_with_the_end_of_its_log(tmp_path):
    log = "".join(f"line {n}\n" for n in range(20)) + "error: a.h5: damaged; delete it\n"
    run(tmp_path, record(), InputError("a.h5: damaged"), log)
    path = tmp_path / "logs/infer_cam" / f"all.{record().recipe}.log"
    assert told(tmp_path, record()) == [
        f"job 0: failed; end of {path}:",
        *(f"    line {n}" for n in range(16, 20)),
        "    error: a.h5: damaged; delete it",
    ]


def test_interrupted_training(tmp_path):
    run(tmp_path, record(), Interrupted("saved"), "stopped: saved\n")
    first, *_, last = told(tmp_path, record())
    assert first.startswith("job 0: interrupted; end of ")
    assert last == STOPPED


def test_killed_job_has_a_remedy(tmp_path):
    events = Events(events_path(tmp_path, record()))
    events.write("started", host="node")
    lines = told(tmp_path, record())
    assert lines[0].startswith("job 0: killed; end of ")
    assert "cannot be read (No such file or directory)" in lines[1]
    assert (
        "most likely because memory ran out" in lines[-1] and "set-resources: infer_cam: mem_mb" in lines[-1]
    )


def test_what_is_no_failure_of_this_run(tmp_path):
    assert told(tmp_path, record()) == []
    run(tmp_path, record(1))
    run(tmp_path, record(2), InputError("x"))
    (tmp_path / record(2).path).parent.mkdir(parents=True)
    (tmp_path / record(2).path).touch()
    run(tmp_path, record(3), InputError("x"))
    run(tmp_path, record(3))
    run(tmp_path, record(4), InputError("x"))
    assert told(tmp_path, *(record(n) for n in (1, 2, 3))) == []
    assert told(tmp_path, record(4), since=datetime.now(UTC)) == []


@pytest.mark.parametrize(("n", "lines"), [(10, 20), (12, 21)])
def test_many_failures_are_cut_short(tmp_path, n, lines):
    for number in range(n):
        run(tmp_path, record(number), InputError("x"), "error: x\n")
    found = told(tmp_path, *map(record, range(n)))
    assert len(found) == lines
    assert (found[-1] == "and 2 more jobs") == (n == 12)
