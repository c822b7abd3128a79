"""One HTML page: style, scripts and pictures are in it; nothing is loaded but what lies beside it on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from irnet_pipe.report.album import Album, render_album
from irnet_pipe.report.bar_chart import BarChart, render_bar_chart
from irnet_pipe.report.charts import Chart, render_chart
from irnet_pipe.report.strips import Strips, render_strips
from irnet_pipe.report.table import Table, render_table
from irnet_pipe.report.timeline import Timeline, render_timeline

SCRIPTS = ("gallery.js", "review.js", "viewer.js", "grid.js")
"""Those of the gallery, in the order in which they need each other."""


@dataclass(frozen=True)
class Gallery:
    """Images to look through. calls: what the scripts are told (gallery_data.py)."""

    calls: Sequence[str]


@dataclass(frozen=True)
class Text:
    """Text as it is, line breaks kept: settings, for instance."""

    text: str


Block = Table | Chart | BarChart | Timeline | Gallery | Strips | Album | Text


STYLES: dict[type[Block], str] = {Gallery: "gallery.css", Strips: "strips.css", Album: "album.css"}
"""Style sheets of blocks, beside that of every page."""


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
    blocks = {type(block) for section in page.sections for block in section.blocks}
    style = "".join(
        _own_file(name) for name in ("page.css", *(STYLES[kind] for kind in STYLES if kind in blocks))
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(page.title)}</h1><p>{escape(page.subtitle)}</p>"
        f'<dl class="figures">{figures}</dl><nav aria-label="sections">{links}</nav></header>\n'
        f"<main>\n{sections}\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section, *, anchor: str) -> str:
    lead = f'<p class="lead">{escape(section.lead)}</p>' if section.lead else ""
    charts = [block for block in section.blocks if isinstance(block, Chart | BarChart)]
    body = lead + "".join(
        _block(block, section) for block in section.blocks if not isinstance(block, Chart | BarChart)
    )
    if charts:
        body += f'<div class="charts">{"".join(_chart(chart) for chart in charts)}</div>'
    heading = f"<h2>{escape(section.title)}</h2>"
    if section.folded:
        return f'<section id="{anchor}"><details><summary>{heading}</summary>{body}</details></section>'
    return f'<section id="{anchor}">{heading}{body}</section>'


def _chart(chart: Chart | BarChart) -> str:
    return render_chart(chart) if isinstance(chart, Chart) else render_bar_chart(chart)


def _block(block: Table | Timeline | Gallery | Strips | Album | Text, section: Section) -> str:
    match block:
        case Table():
            return render_table(block, title=section.title)
        case Timeline():
            return render_timeline(block)
        case Gallery():
            return _gallery(block)
        case Strips():
            return render_strips(block)
        case Album():
            return render_album(block)
        case Text():
            return f'<pre tabindex="0">{escape(block.text)}</pre>'


def _gallery(gallery: Gallery) -> str:
    scripts = (*(_own_file(name) for name in SCRIPTS), *gallery.calls, "grid.start();\n")
    return _own_file("gallery.html") + "".join(f"<script>\n{script}</script>\n" for script in scripts)


def _own_file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
