"""Pages of the site that are no files of docs/, and links between files of the project as links of the site.

mkdocs calls what begins with `on_`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
FROM_FILES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "reference/config.md": "config/README.md",
    "notebooks/artifacts.md": "docs/notebooks/artifacts.ipynb",
}
"""Page of the site → file of the project that it is made of."""

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages that are made."""
    for page, source in FROM_FILES.items():
        path = ROOT / source
        text = notebook_text(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Links to files of the project lead to their pages; those to files without page become words."""
    uri = page.file.src_uri
    source = PurePosixPath(FROM_FILES.get(uri, f"docs/{uri}"))
    pages = {PurePosixPath(file): name for name, file in FROM_FILES.items()}
    return LINK.sub(
        lambda link: _link(link, source.parent, PurePosixPath(uri).parent, pages, files), markdown
    )


def _link(
    link: re.Match[str],
    folder: PurePosixPath,
    place: PurePosixPath,
    pages: dict[PurePosixPath, str],
    files: Any,
) -> str:
    mark, text, target = link.groups()
    path, _, anchor = target.partition("#")
    if not path or ":" in path:
        return link[0]
    file = PurePosixPath(os.path.normpath(folder / path))
    page = pages.get(file)
    if page is None and file.is_relative_to("docs"):
        page = file.relative_to("docs").as_posix()
    if page is None or files.get_file_from_path(page) is None:
        return link[0] if mark else text
    return f"{mark}[{text}]({os.path.relpath(page, place)}{'#' if anchor else ''}{anchor})"


def notebook_text(path: Path) -> str:
    """A notebook as markdown, without outputs."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"
