"""Time lines and tables of what jobs have cost."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest

from irnet_pipe.recipes import Record
from irnet_pipe.report.costs import Cost, costs_csv, costs_page
from irnet_pipe.report.timeline import Bar, Timeline, busy_spans, pack_lanes, render_timeline
from irnet_pipe.runtime.attempts import Attempt

MIB = 1 << 20
NASTY = "<b>&\"'"


def cost(stage: str, *attempts: Attempt, label: str = "x") -> Cost:
    return Cost(Record("a" * 16, stage, 1, "all", label, "x.h5", {}, (), (), {}), attempts)


def at(minute: float, seconds: float, outcome: str = "ok", **known: object) -> Attempt:
    start = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=minute)
    return Attempt(start, seconds, outcome, **known)


COSTS = [
    cost(
        "train_cam",
        at(0, 60.0, "failed", cpu_seconds=50.0, peak_memory=300 * MIB),
        at(2, 100.0, cpu_seconds=90.0),
    ),
    cost("export_masks", at(4, 10.0, cpu_seconds=9.5, peak_memory=100 * MIB)),
    cost("propagate"),
    cost("export_masks", at(4, 20.0, cpu_seconds=19.0, peak_memory=200 * MIB, peak_device_memory=50 * MIB)),
    cost("export_masks"),
    cost("infer_irnet", at(8, 5.0, "killed", host="node")),
]


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_table_per_stage():
    head, *rows = cells(costs_page(COSTS, run="birds"))
    assert head[:6] == ["stage", "artifacts", "unknown", "attempts", "wall, s", "CPU, s"]
    assert head[6:] == ["peak memory, MiB", "peak GPU memory, MiB"]
    assert rows == [
        ["train_cam", "1", "0", "2", "160.0", "140.0", "300.0", "–"],
        ["propagate", "1", "1", "0", "–", "–", "–", "–"],
        ["export_masks", "3", "1", "2", "30.0", "28.5", "200.0", "50.0"],
        ["infer_irnet", "1", "0", "1", "5.0", "–", "–", "–"],
        ["all", "6", "2", "5", "195.0", "168.5", "300.0", "50.0"],
    ]


def test_time_line_has_a_bar_per_attempt():
    page = costs_page(COSTS, run="birds")
    assert page.count("<rect") == 5
    assert len(re.findall(r'<rect class="bar series-\d lost"', page)) == 2
    assert "<title>x: failed, 1m00s, 2026-03-01 12:00 UTC, None</title>" in page
    assert "<title>x: killed, 5s, 2026-03-01 12:08 UTC, node</title>" in page


def test_nothing_is_known():
    page = costs_page([cost("train_cam"), cost("infer_cam")], run="birds")
    assert "<rect" not in page
    assert cells(page)[-1] == ["all", "2", "2", "0", "–", "–", "–", "–"]


def test_names_are_escaped():
    page = costs_page([cost(NASTY, at(0, 1, host=NASTY), label=NASTY)], run=NASTY)
    assert NASTY not in page and "<b>" not in page


def test_csv_has_a_row_per_attempt():
    rows = list(csv.DictReader(costs_csv(COSTS).splitlines()))
    assert [row["outcome"] for row in rows] == ["failed", "ok", "ok", "unknown", "ok", "unknown", "killed"]
    assert rows[0] == {
        "stage": "train_cam",
        "unit": "all",
        "recipe": "a" * 16,
        "label": "x",
        "start": "2026-03-01T12:00:00+00:00",
        "seconds": "60.0",
        "outcome": "failed",
        "cpu_seconds": "50.0",
        "peak_memory": str(300 * MIB),
        "peak_device_memory": "",
        "device": "",
        "host": "",
    }


def bars(*intervals: tuple[float, float], row: str = "a") -> list[Bar]:
    return [Bar(row, f"{start}", start, end) for start, end in intervals]


def test_lanes_hold_what_overlaps():
    lanes = pack_lanes(bars((0, 4), (1, 2), (2, 5), (4, 6), (4.5, 5)))
    assert [[(bar.start, bar.end) for bar in lane] for lane in lanes] == [
        [(0, 4), (4, 6)],
        [(1, 2), (2, 5)],
        [(4.5, 5)],
    ]


@pytest.mark.parametrize(
    ("intervals", "spans"),
    [
        ([], []),
        ([(0, 10), (5, 7), (10, 100)], [(0, 100)]),
        ([(0, 50), (53, 100)], [(0, 100)]),
        ([(1000, 1050), (0, 50)], [(0, 50), (1000, 1050)]),
    ],
)
def test_long_breaks_part_spans(intervals, spans):
    assert busy_spans(intervals) == spans


def places(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(w)) for x, w in re.findall(r'<rect [^>]*x="([\d.]+)"[^>]*width="([\d.]+)"', svg)]


def test_breaks_take_no_room():
    together = render_timeline(Timeline("t", ["a"], bars((0, 100), (100, 200))))
    apart = render_timeline(Timeline("t", ["a"], bars((0, 100), (900_000, 900_100))))
    assert places(together) == places(apart)
    assert 'class="cut"' not in together
    assert apart.count('class="cut"') == 1
    assert "<title>nothing ran for 249h58m</title>" in apart


def test_bars_are_as_long_as_their_jobs():
    svg = render_timeline(Timeline("t", ["a", "b"], bars((0, 300), (300, 400)) + bars((0, 400), row="b")))
    (first, long), (second, short), (third, whole) = places(svg)
    assert first == third == 150
    assert long == pytest.approx(3 * short, rel=0.01)
    assert second == pytest.approx(first + long, abs=0.2)
    assert whole == pytest.approx(long + short, abs=0.2)
    assert third + whole == 1080, "the whole width is used"
    assert re.findall(r">(\d+)</text>", svg) == ["0", "2", "4", "6"]
    assert "minutes in which jobs ran" in svg


def test_many_lanes_keep_the_row_low():
    few = render_timeline(Timeline("t", ["a"], bars(*[(0, 1)] * 6)))
    many = render_timeline(Timeline("t", ["a"], bars(*[(0, 1)] * 64)))
    assert re.search(r'viewBox="([^"]*)"', few)[1] == re.search(r'viewBox="([^"]*)"', many)[1]
