"""Bar charts as inline SVG: no script, no library; the style of the page around them colours them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from irnet_pipe.report.charts import round_ticks

WIDTH, RIGHT, TOP, BOTTOM = 560, 60, 8, 38
ROW, BAR = 30, 16
"""Pixels from bar to bar, and of a bar."""
LETTER = 6.2
"""Width of a letter, on average."""


@dataclass(frozen=True)
class Bar:
    """A bar from 0.

    Attributes:
        name: beside it.
        value: its length; None: nothing is drawn.
        spread: half the length of the line across its end.
        mark: value at which a dashed line crosses it.
        pale: drawn pale.
    """

    name: str
    value: float | None
    spread: float | None = None
    mark: float | None = None
    pale: bool = False


@dataclass(frozen=True)
class BarChart:
    """Bars below each other. note: what marks are."""

    title: str
    bars: Sequence[Bar]
    x_label: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Axis:
    """Where values lie: from `left`, beside the names, to the last tick."""

    left: float
    ticks: Sequence[float]

    def place(self, value: float) -> float:
        return self.left + value / self.ticks[-1] * (WIDTH - RIGHT - self.left)


def render_bar_chart(chart: BarChart) -> str:
    """The chart as a <figure> with an <svg> in it."""
    ends = [(bar.value or 0) + (bar.spread or 0) for bar in chart.bars]
    ticks = round_ticks(0, max([*ends, *(bar.mark or 0 for bar in chart.bars)], default=0))
    axis = _Axis(16 + LETTER * max((len(bar.name) for bar in chart.bars), default=0), ticks)
    height = TOP + ROW * len(chart.bars) + BOTTOM
    body = [
        _grid(axis, height),
        *(_bar(bar, TOP + ROW * (i + 0.5), axis) for i, bar in enumerate(chart.bars)),
    ]
    x = (axis.left + WIDTH - RIGHT) / 2
    body.append(f'<text x="{x:.1f}" y="{height - 5}" text-anchor="middle">{escape(chart.x_label)}</text>')
    title = escape(chart.title)
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">{"".join(body)}</svg>{note}</figure>'
    )


def _grid(axis: _Axis, height: int) -> str:
    lines = []
    for tick in axis.ticks:
        x = axis.place(tick)
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        lines.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 14}" text-anchor="middle">{tick:.4g}</text>')
    return "".join(lines)


def _bar(bar: Bar, middle: float, axis: _Axis) -> str:
    """A bar around the height `middle`."""
    top, bottom = middle - BAR / 2, middle + BAR / 2
    parts = [f'<text x="{axis.left - 8:.1f}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>']
    if bar.value is not None:
        parts += _value(bar, bar.value, middle, axis)
    if bar.mark is not None:
        x = axis.place(bar.mark)
        parts.append(f'<line class="cut" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{bottom + 4}"/>')
    return "".join(parts)


def _value(bar: Bar, value: float, middle: float, axis: _Axis) -> Iterator[str]:
    """The bar itself, the line across its end, and the value as text beside both."""
    end = last = axis.place(value)
    kind = "bar lost" if bar.pale else "bar"
    yield (
        f'<rect class="{kind} series-0" x="{axis.left:.1f}" y="{middle - BAR / 2}" width="{end - axis.left:.1f}" '
        f'height="{BAR}"/>'
    )
    if bar.spread:
        low, last = axis.place(max(0, value - bar.spread)), axis.place(value + bar.spread)
        yield f'<path d="M{low:.1f} {middle}H{last:.1f}" stroke="currentColor" stroke-width="1.5"/>'
    yield f'<text x="{last + 6:.1f}" y="{middle + 4}">{value:.1f}</text>'
