"""Line charts as inline SVG: no script, no library; the style of the page around them colours them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 38
MAX_POINTS = 600


@dataclass(frozen=True)
class Series:
    """One line: its name in the legend, x and y of equal length; points that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Lines in one frame. log_y: logarithmic y axis; points that are not positive are left out."""

    title: str
    series: Sequence[Series]
    x_label: str = ""
    y_label: str = ""
    log_y: bool = False


def render_chart(chart: Chart) -> str:
    """The chart as a <figure> with an <svg> in it; page.css colours the classes series-0 … series-5."""
    lines = [_points(series, log_y=chart.log_y) for series in chart.series]
    everything = [point for line in lines for point in line]
    x_axis = _Axis.over([x for x, _ in everything], start=LEFT, end=WIDTH - RIGHT)
    y_axis = _Axis.over([y for _, y in everything], start=HEIGHT - BOTTOM, end=TOP)
    body = [_grid(x_axis, y_axis, log_y=chart.log_y), _axis_labels(chart)]
    for i, line in enumerate(lines):
        path = " ".join(f"{x_axis.place(x):.1f},{y_axis.place(y):.1f}" for x, y in line)
        body.append(f'<polyline class="series-{i % 6}" points="{path}"/>')
    legend = "".join(
        f'<li class="series-{i % 6}">{escape(series.name)}</li>' for i, series in enumerate(chart.series)
    )
    title = escape(chart.title)
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(body)}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


@dataclass(frozen=True)
class _Axis:
    """Round ticks over the data, and where a value lies on the page."""

    ticks: Sequence[float]
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], *, start: float, end: float) -> "_Axis":
        return cls(round_ticks(min(values, default=0.0), max(values, default=1.0)), start, end)

    def place(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def round_ticks(low: float, high: float) -> list[float]:
    """Two to seven multiples of 1, 2 or 5 times a power of ten that enclose low…high."""
    at_least = (high - low or abs(high) or 1.0) / 5
    power = 10.0 ** math.floor(math.log10(at_least))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= at_least)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _points(series: Series, *, log_y: bool) -> list[tuple[float, float]]:
    """Finite points, thinned by averaging over neighbours to at most MAX_POINTS; log10 of y where asked."""
    points = [
        (x, y)
        for x, y in zip(series.x, series.y, strict=True)
        if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log_y)
    ]
    size = math.ceil(len(points) / MAX_POINTS) or 1
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    means = [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups
    ]
    return [(x, math.log10(y)) for x, y in means] if log_y else means


def _grid(x_axis: _Axis, y_axis: _Axis, *, log_y: bool) -> str:
    parts = []
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        text = f"{10**tick:.2g}" if log_y else f"{tick:.4g}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:.4g}</text>')
    return "".join(parts)


def _axis_labels(chart: Chart) -> str:
    x, y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text x="{x}" y="{HEIGHT - 5}" text-anchor="middle">{escape(chart.x_label)}</text>'
        f'<text transform="translate(12 {y}) rotate(-90)" text-anchor="middle">{escape(chart.y_label)}</text>'
    )
