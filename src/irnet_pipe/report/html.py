"""One self-contained HTML page: pictures as data URIs, style inline, no script, nothing loaded."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from irnet_pipe.report.bar_chart import BarChart, render_bar_chart
from irnet_pipe.report.charts import Chart, render_chart
from irnet_pipe.report.style import STYLE
from irnet_pipe.report.timeline import Timeline, render_timeline


@dataclass(frozen=True)
class Number:
    """A number as it is to be printed."""

    text: str


Cell = str | Number | int | float | None


@dataclass(frozen=True)
class Table:
    """A table; numbers are set right, nan and None as a dash. The first column names the row.

    Attributes:
        columns: headings.
        rows: cells, one per column.
        decimals: of floats.
        note: a sentence below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    decimals: int = 1
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture with its caption. flat: few colours (label maps): stored as PNG, everything else as JPEG."""

    caption: str
    image: Image.Image
    flat: bool = False


@dataclass(frozen=True)
class Row:
    """Pictures of one photo, side by side."""

    title: str
    pictures: Sequence[Picture]
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Rows of pictures."""

    rows: Sequence[Row]


@dataclass(frozen=True)
class Text:
    """Text as it is, line breaks kept: settings, for instance."""

    text: str


Block = Table | Chart | BarChart | Timeline | Gallery | Text


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it. folded: shown by a click on the heading."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """The page: title, a line below it, headline figures (name, value), sections, links (name, target) to others."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    figures: Sequence[tuple[str, str]] = ()
    links: Sequence[tuple[str, str]] = ()


def render(page: Page) -> str:
    """The page as one HTML document; equal pages give equal text."""
    figures = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in page.figures
    )
    links = "".join(
        f'<a href="#section-{i}">{escape(section.title)}</a>' for i, section in enumerate(page.sections)
    )
    links += "".join(
        f'<a class="page" href="{escape(target)}">{escape(name)}</a>' for name, target in page.links
    )
    sections = "\n".join(_section(section, anchor=f"section-{i}") for i, section in enumerate(page.sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p>"
        f'<dl class="figures">{figures}</dl><nav>{links}</nav></header>\n'
        f"<main>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section, *, anchor: str) -> str:
    lead = f'<p class="lead">{escape(section.lead)}</p>' if section.lead else ""
    charts = [block for block in section.blocks if isinstance(block, Chart | BarChart)]
    body = lead + "".join(
        _block(block) for block in section.blocks if not isinstance(block, Chart | BarChart)
    )
    if charts:
        body += f'<div class="charts">{"".join(_chart(chart) for chart in charts)}</div>'
    heading = f"<h2>{escape(section.title)}</h2>"
    if section.folded:
        return f'<section id="{anchor}"><details><summary>{heading}</summary>{body}</details></section>'
    return f'<section id="{anchor}">{heading}{body}</section>'


def _chart(chart: Chart | BarChart) -> str:
    return render_chart(chart) if isinstance(chart, Chart) else render_bar_chart(chart)


def _block(block: Table | Timeline | Gallery | Text) -> str:
    match block:
        case Table():
            return _table(block)
        case Timeline():
            return render_timeline(block)
        case Gallery():
            return "".join(_row(row) for row in block.rows)
        case Text():
            return f"<pre>{escape(block.text)}</pre>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, decimals=table.decimals) for cell in row)}</tr>" for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}'
    )


def _cell(cell: Cell, *, decimals: int) -> str:
    match cell:
        case str():
            return f"<td>{escape(cell)}</td>"
        case Number():
            return f'<td class="number">{escape(cell.text)}</td>'
        case float() if math.isfinite(cell):
            return f'<td class="number">{cell:.{decimals}f}</td>'
        case int():
            return f'<td class="number">{cell}</td>'
        case None | float():
            return '<td class="number">–</td>'


def _row(row: Row) -> str:
    note = f"<span>{escape(row.note)}</span>" if row.note else ""
    pictures = "".join(_picture(picture) for picture in row.pictures)
    return f'<article><h3>{escape(row.title)}{note}</h3><div class="pictures">{pictures}</div></article>'


def _picture(picture: Picture) -> str:
    """A click checks the hidden box, and the style enlarges the picture beside a checked box: no script."""
    caption = escape(picture.caption)
    return (
        f'<figure><label><input type="checkbox" aria-label="enlarge: {caption}">'
        f'<img src="{_data_uri(picture)}" alt="{caption}" loading="lazy"></label>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _data_uri(picture: Picture) -> str:
    stream = io.BytesIO()
    if picture.flat:
        kind = "png"
        picture.image.save(stream, format="PNG", compress_level=9)
    else:
        kind = "jpeg"
        picture.image.save(stream, format="JPEG", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
