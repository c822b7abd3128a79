"""Lists of images as text files: one image a line."""

from __future__ import annotations

from pathlib import Path

from irnet_pipe.data.photo_files import PhotoFolder
from irnet_pipe.data.problems import Problems
from irnet_pipe.errors import InputError
from irnet_pipe.text_files import read_text


def read_image_set(path: Path, *, photos: PhotoFolder, problems: Problems) -> list[str]:
    """Read a list of images.

    Args:
        path: a text file, one image_id a line; a photo's suffix is tolerated, and lines that begin with # are
            comments.
        photos: what the ids refer to.
        problems: takes ids without photo, ids named twice, an empty list.

    Returns:
        The image_ids in the order of the file.
    """
    try:
        text = read_text(path)
    except InputError as error:
        problems.add_error("unreadable lists", error)
        return []
    first: dict[str, int] = {}
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    entries = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not entries:
        problems.add("empty lists", f"{path}: the list is empty; name one image_id a line")
    for number, line in entries:
        image_id = photos.resolve(line)
        if image_id is None:
            problems.add(
                "listed images without photo",
                f"{path}:{number}: {line!r} has no photo in {photos.folder}; "
                + photos.remedy(line, otherwise="add it or delete the line"),
            )
        elif image_id in first:
            problems.add(
                "images listed twice",
                f"{path}:{number}: {line!r} is listed in line {first[image_id]} already; delete one line",
            )
        else:
            first[image_id] = number
    return list(first)
