"""Progress lines, by a clock of the test."""

import io
import time

import pytest

from irnet_pipe.runtime.events import Events, read_events
from irnet_pipe.runtime.progress import Progress, duration, silenced


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m00s"), (185, "3m05s"), (3600, "1h00m"), (90_061, "25h01m")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_lines_now_and_then(clock):
    stream = io.StringIO()
    progress = Progress(total=10, title="train", unit="steps", every=15, stream=stream)
    for done in range(1, 11):
        clock(5)
        progress.update(done, note="loss 0.5")
    assert stream.getvalue().splitlines() == [
        "train: 3/10 steps · 0.20/s · ETA 35s · loss 0.5",
        "train: 6/10 steps · 0.20/s · ETA 20s · loss 0.5",
        "train: 9/10 steps · 0.20/s · ETA 5s · loss 0.5",
        "train: 10/10 steps · 0.20/s · ETA 0s · loss 0.5",
    ]


def test_bar_on_a_terminal(clock):
    stream = Terminal()
    progress = Progress(total=2, title="x", unit="images", stream=stream)
    for done in (1, 2):
        clock(1)
        progress.update(done)
    first, second = stream.getvalue().split("\r\x1b[K")[1:]
    assert first == f"[{'█' * 12}{'·' * 12}] x: 1/2 images · 1.00/s · ETA 1s"
    assert second == f"[{'█' * 24}] x: 2/2 images · 1.00/s · ETA 0s\n"


@pytest.mark.parametrize(("stream", "said"), [(io.StringIO(), "why\n"), (Terminal(), "\r\x1b[Kwhy\n")])
def test_lines_between(clock, stream, said):
    """On a terminal they take the place of the bar, which the next update draws again."""
    progress = Progress(total=2, title="predict", stream=stream)
    progress.say("why")
    assert stream.getvalue() == said
    clock(20)
    progress.update(1)
    assert "predict: 1/2" in stream.getvalue().removeprefix(said)


def test_rate_counts_from_where_an_earlier_attempt_stopped(clock):
    stream = io.StringIO()
    progress = Progress(total=100, title="x", every=1, stream=stream)
    progress.resume_at(90)
    clock(10)
    progress.update(95)
    assert "0.50/s · ETA 10s" in stream.getvalue()


def test_a_slow_first_item_is_left_out_of_the_rate(clock):
    stream = io.StringIO()
    progress = Progress(total=10, title="x", every=0, stream=stream)
    for done, seconds in ((1, 60), (2, 1), (4, 3)):
        clock(seconds)
        progress.update(done)
    rates = [line.split(" · ", 1)[1] for line in stream.getvalue().splitlines()]
    assert rates == ["0.02/s · ETA 9m00s", "1.00/s · ETA 8s", "0.75/s · ETA 8s"]


def test_no_rate_yet(clock):
    stream = io.StringIO()
    progress = Progress(total=4, title="x", every=1, stream=stream)
    clock(2)
    progress.update(0)
    assert "ETA ?" in stream.getvalue()


def test_over_counts_finished_items(clock):
    stream = io.StringIO()
    progress = Progress(total=3, title="x", every=0, stream=stream)
    seen = []
    for item in progress.over("abc"):
        seen.append((item, stream.getvalue().count("\n")))
        clock(1)
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert "3/3" in stream.getvalue()


def test_events_come_as_often_as_lines(clock, tmp_path):
    """On a terminal too, which is redrawn far more often."""
    for stream in (io.StringIO(), Terminal()):
        path = tmp_path / f"{type(stream).__name__}.jsonl"
        progress = Progress(total=100, title="x", unit="images", stream=stream, events=Events(path))
        for done in range(1, 41):
            clock(1)
            progress.update(done, loss=1 / done)
        clock(1)
        progress.update(100, loss=0.25)
        told = [(e["event"], e["done"], e["total"], e["unit"], e["loss"]) for e in read_events(path)]
        assert told == [
            ("progress", n, 100, "images", loss)
            for n, loss in ((1, 1), (16, 1 / 16), (31, 1 / 31), (100, 0.25))
        ]


def test_nothing_to_do(clock):
    stream = io.StringIO()
    assert list(Progress(total=0, title="x", stream=stream).over([])) == []
    assert stream.getvalue() == ""


def test_terminal_that_knows_no_commands(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    progress = Progress(total=1, title="x", stream=stream)
    clock(1)
    progress.update(1)
    assert stream.getvalue() == "x: 1/1  · 1.00/s · ETA 0s\n"


def test_silence_is_for_people_alone(clock, tmp_path):
    stream, path = io.StringIO(), tmp_path / "events.jsonl"
    with silenced():
        progress = Progress(total=2, title="x", stream=stream, events=Events(path))
        list(progress.over("ab"))
    assert stream.getvalue() == ""
    assert [event["done"] for event in read_events(path)] == [1, 2]
    progress.update(2)
    assert stream.getvalue() != ""
