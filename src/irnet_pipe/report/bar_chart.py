"""Bar charts as inline SVG: no script, no library; the style of the page around them colours them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from irnet_pipe.report.charts import round_ticks

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 560, 190, 60, 8, 38
ROW, BAR = 30, 16
"""Pixels from bar to bar, and of a bar."""


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


def render_bar_chart(chart: BarChart) -> str:
    """The chart as a <figure> with an <svg> in it."""
    ends = [(bar.value or 0) + (bar.spread or 0) for bar in chart.bars]
    ticks = round_ticks(0, max([*ends, *(bar.mark or 0 for bar in chart.bars)], default=0))
    height = TOP + ROW * len(chart.bars) + BOTTOM
    body = [_grid(ticks, height), *(_bar(bar, i, ticks[-1]) for i, bar in enumerate(chart.bars))]
    x = (LEFT + WIDTH - RIGHT) / 2
    body.append(f'<text x="{x}" y="{height - 5}" text-anchor="middle">{escape(chart.x_label)}</text>')
    title = escape(chart.title)
    note = f'<ul class="legend">{escape(chart.note)}</ul>' if chart.note else ""
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">{"".join(body)}</svg>{note}</figure>'
    )


def _place(value: float, most: float) -> float:
    return LEFT + value / most * (WIDTH - RIGHT - LEFT)


def _grid(ticks: Sequence[float], height: int) -> str:
    lines = []
    for tick in ticks:
        x = _place(tick, ticks[-1])
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        lines.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 14}" text-anchor="middle">{tick:.4g}</text>')
    return "".join(lines)


def _bar(bar: Bar, number: int, most: float) -> str:
    middle = TOP + ROW * number + ROW / 2
    top, bottom = middle - BAR / 2, middle + BAR / 2
    parts = [f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>']
    if bar.value is not None:
        end = _place(bar.value, most)
        kind = "bar lost" if bar.pale else "bar"
        parts.append(
            f'<rect class="{kind} series-0" x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR}">'
            f"<title>{escape(bar.name)}: {bar.value:.1f}</title></rect>"
        )
        last = end
        if bar.spread:
            low, last = (_place(max(0, bar.value + sign * bar.spread), most) for sign in (-1, 1))
            parts.append(
                f'<path d="M{low:.1f} {middle}H{last:.1f}" stroke="currentColor" stroke-width="1.5"/>'
            )
        parts.append(f'<text x="{last + 6:.1f}" y="{middle + 4}">{bar.value:.1f}</text>')
    if bar.mark is not None:
        x = _place(bar.mark, most)
        parts.append(f'<line class="cut" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{bottom + 4}"/>')
    return "".join(parts)
