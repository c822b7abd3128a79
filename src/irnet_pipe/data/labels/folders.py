"""Labels from one folder per class."""

from __future__ import annotations

from collections.abc import Iterable


def read_folders(image_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Class names by the first folder of an image_id; photos outside of any folder have no label row.

    Returns:
        image_id → its one class name.
    """
    return {image_id: (image_id.split("/", 1)[0],) for image_id in image_ids if "/" in image_id}
