"""What the gallery is told: statements of JavaScript, inline or in files beside the page.

A page that is opened from disk may load scripts, but no JSON. So every file that it loads is one call of a function of
gallery.js whose only argument is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from irnet_pipe.report.pictures import Picture, data_uri

FOLDER = "report_files"
"""Beside the page: what it loads as one scrolls."""
ROWS = "rows.js"
"""In the folder of each shard, beside its thumbnails."""
PHOTO, INSTANCES, CLASSES = "photo", "instances", "classes"
"""Names of the thumbnails of an image."""
_UNIT = "gallery.unit("
_END = ");\n"


def picture_file(number: int, name: str) -> str:
    """File of a thumbnail; `number` is that of the image's row in its shard."""
    return f"{number}-{name}.{'jpeg' if name == PHOTO else 'png'}"


def page_call(facts: Mapping[str, Any]) -> str:
    """What holds for the whole gallery: see `gallery.page` in gallery.js."""
    return f"gallery.page({script_json(facts)}{_END}"


def unit_call(unit: str, rows: Sequence[Mapping[str, Any]], recipes: Sequence[tuple[str, str]]) -> str:
    """The images of a shard.

    Args:
        unit: its name.
        rows: see `irnet_pipe.report.thumbnails.image_row`.
        recipes: stage and path of each artifact that its images went through.
    """
    return f"{_UNIT}{script_json({'unit': unit, 'recipes': recipes, 'rows': rows})}{_END}"


def read_unit(text: str) -> dict[str, Any]:
    """What `unit_call` was given.

    Raises:
        ValueError: something else.
    """
    content: dict[str, Any] = json.loads(text.removeprefix(_UNIT).removesuffix(_END))
    return content


def files_call(unit: str, files: Mapping[str, str]) -> str:
    """Thumbnails of a shard in the page itself: file name → address that holds it."""
    return f"gallery.files({script_json({'unit': unit, 'files': files})}{_END}"


def layers_call(image_id: str, layers: Sequence[tuple[Picture, bytes]]) -> str:
    """All layers of an image: pictures, and the file of each."""
    shown = [
        {"name": picture.name, "src": data_uri(data, picture.kind), "flat": picture.flat}
        for picture, data in layers
    ]
    return f"gallery.layers({script_json({'id': image_id, 'layers': shown})}{_END}"


def script_json(value: Any) -> str:
    """JSON that may stand in a <script> of a page: no `<` can end it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")
