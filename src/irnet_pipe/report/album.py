"""Rows of pictures with captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class AlbumRow:
    """A row: its title, and a caption and an address for each picture."""

    title: str
    pictures: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Album:
    """Rows, one below the other."""

    rows: Sequence[AlbumRow]


def render_album(album: Album) -> str:
    """The rows; as many pictures stand side by side as there is room for."""
    return f'<div class="album">{"".join(_row(row) for row in album.rows)}</div>'


def _row(row: AlbumRow) -> str:
    pictures = "".join(
        f'<figure><img src="{address}" alt="{escape(f"{row.title}, {caption}")}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, address in row.pictures
    )
    return f"<section><h3>{escape(row.title)}</h3><div>{pictures}</div></section>"
