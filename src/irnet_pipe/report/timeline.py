"""Time lines as inline SVG: a bar per job, jobs of a stage together, times in which nothing ran cut out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from irnet_pipe.report.charts import round_ticks
from irnet_pipe.runtime.progress import duration

WIDTH = 1100
LEFT, RIGHT, TOP, BOTTOM = 150, 20, 10, 38
ROW, LANE = 60, 10
"""Height of a row at most, of a lane at most: jobs side by side share the row."""
GAP = 6
"""Between rows."""
MIN_WIDTH = 1.5
"""Of a bar, so that it is seen."""
LONG_BREAK = 0.05
"""A break is cut out when it is longer than this share of the time in which something ran."""
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


@dataclass(frozen=True)
class Bar:
    """A job: the row that it belongs to, what a pointer on it tells, and when it ran, seconds of any clock.

    lost: it ended without a result; drawn pale.
    """

    row: str
    title: str
    start: float
    end: float
    lost: bool = False


@dataclass(frozen=True)
class Timeline:
    """Bars in rows, in the order of `rows`."""

    title: str
    rows: Sequence[str]
    bars: Sequence[Bar]


def render_timeline(timeline: Timeline) -> str:
    """The time line as a <figure> with an <svg> in it; page.css colours the classes series-0 … series-5."""
    clock = _Clock(timeline.bars)
    body, top = [], float(TOP)
    for number, row in enumerate(timeline.rows):
        lanes = pack_lanes(bar for bar in timeline.bars if bar.row == row)
        height = min(LANE, ROW / max(len(lanes), 1))
        middle = top + max(height * len(lanes), LANE) / 2
        body.append(f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(row)}</text>')
        for lane, bars in enumerate(lanes):
            body += [_rect(bar, clock, top=top + lane * height, height=height, series=number) for bar in bars]
        top += max(height * len(lanes), LANE) + GAP
    title = escape(timeline.title)
    return (
        f'<figure class="timeline"><svg viewBox="0 0 {WIDTH} {top + BOTTOM:.0f}" role="img" aria-label="{title}">'
        f"{_grid(clock, bottom=top)}{''.join(body)}</svg></figure>"
    )


def pack_lanes(bars: Iterable[Bar]) -> list[list[Bar]]:
    """Bars in as few lanes as hold them without overlap."""
    lanes: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.end)):
        free = next((lane for lane in lanes if lane[-1].end <= bar.start), None)
        if free is None:
            lanes.append([bar])
        else:
            free.append(bar)
    return lanes


class _Clock:
    """Where a moment lies on the page, and in which time; breaks are cut out."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.spans = busy_spans((bar.start, bar.end) for bar in bars)
        self.seconds = sum(end - start for start, end in self.spans) or 1.0
        self.unit, self.scale = next(
            unit for unit in UNITS if self.seconds >= 2 * unit[1] or unit is UNITS[-1]
        )

    def place(self, moment: float) -> float:
        """Horizontal place of a moment within the spans."""
        return self.place_of(sum(min(max(moment - start, 0), end - start) for start, end in self.spans))

    def place_of(self, seconds: float) -> float:
        """Horizontal place of so many seconds, breaks not counted."""
        return LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)


def busy_spans(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans of time in which something ran, by their start; short breaks are part of a span."""
    spans = _merge(sorted(intervals), pause=0.0)
    return _merge(spans, pause=LONG_BREAK * sum(end - start for start, end in spans))


def _merge(intervals: Sequence[tuple[float, float]], *, pause: float) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for start, end in intervals:
        if spans and start - spans[-1][1] <= pause:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _rect(bar: Bar, clock: _Clock, *, top: float, height: float, series: int) -> str:
    left = clock.place(bar.start)
    width = max(clock.place(bar.end) - left, MIN_WIDTH)
    style = f"bar series-{series % 6}{' lost' if bar.lost else ''}"
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{0.85 * height:.1f}">'
        f"<title>{escape(bar.title)}</title></rect>"
    )


def _grid(clock: _Clock, *, bottom: float) -> str:
    parts = []
    for tick in round_ticks(0.0, clock.seconds / clock.scale):
        if tick * clock.scale > clock.seconds:
            break
        x = clock.place_of(tick * clock.scale)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{tick:.4g}</text>')
    for (_, end), (start, _) in pairwise(clock.spans):
        x = clock.place(end)
        parts.append(
            f'<line class="cut" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.1f}">'
            f"<title>nothing ran for {duration(start - end)}</title></line>"
        )
    label = f"{clock.unit} in which jobs ran"
    parts.append(
        f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{bottom + 33:.1f}" text-anchor="middle">{label}</text>'
    )
    return "".join(parts)
