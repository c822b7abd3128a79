"""The writer of events: one whole line each, and no job that fails for it."""

import json
import math
from datetime import datetime

from irnet_pipe.runtime.events import Events, read_events


def test_each_event_is_a_line_at_once(tmp_path):
    path = tmp_path / "events" / "train_cam" / "all.jsonl"
    events = Events(path)
    events.write("started", host="ä")
    first = path.read_text(encoding="utf-8")
    events.write("progress", done=3, loss=0.5)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines[0] == first
    started, progress = map(json.loads, lines)
    assert (started["event"], started["host"]) == ("started", "ä")
    assert (progress["event"], progress["done"], progress["loss"]) == ("progress", 3, 0.5)
    assert datetime.fromisoformat(started["time"]) <= datetime.fromisoformat(progress["time"])
    assert datetime.fromisoformat(started["time"]).utcoffset().total_seconds() == 0


def test_attempts_append_and_are_told_apart(tmp_path):
    path = tmp_path / "all.jsonl"
    first, second = Events(path), Events(path)
    first.write("started")
    second.write("started")
    first.write("ended")
    found = [(event["attempt"], event["event"]) for event in read_events(path)]
    assert found == [(first.attempt, "started"), (second.attempt, "started"), (first.attempt, "ended")]
    assert first.attempt != second.attempt


def test_without_a_file_events_go_nowhere(capsys):
    Events().write("started", value=math.nan)
    assert capsys.readouterr().err == ""


def test_a_write_that_fails_is_told_once(tmp_path, capsys):
    (tmp_path / "events").write_text("a file where the folder should be")
    events = Events(tmp_path / "events" / "all.jsonl")
    events.write("started")
    events.write("ended")
    error = capsys.readouterr().err
    assert error.startswith(f"warning: {tmp_path}/events/all.jsonl: cannot be written (")
    assert error.count("\n") == 1


def test_what_json_cannot_hold_does_not_end_the_job(tmp_path, capsys):
    events = Events(tmp_path / "all.jsonl")
    events.write("progress", loss=math.nan)
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "all.jsonl").exists()


def test_what_is_no_event_is_left_out(tmp_path):
    path = tmp_path / "all.jsonl"
    events = Events(path)
    events.write("started")
    with path.open("ab") as file:
        file.write(b'\n[1]\n{"time": "x"}\n\xff\xfe\n{"time": "2026-')
    assert [event["event"] for event in read_events(path)] == ["started"]
    assert list(read_events(tmp_path / "none.jsonl")) == []
