"""Image lists: which images a stage works on. Plain JSON files, written once under results/index/<digest>/."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from irnet_pipe.errors import InputError
from irnet_pipe.text_files import replace_text

LIST_NAME = "images.json"


@dataclass(frozen=True, slots=True, order=True)
class ImageEntry:
    """One image.

    Attributes:
        image_id: unique name: the photo's path below the photos folder, without suffix.
        path: photo, relative to dataset.root, with forward slashes.
        height: of the displayed photo (EXIF orientation applied), pixels.
        width: likewise.
        labels: class_ids present, ascending; empty for a negative; None where the classifier shall predict them.
        digest: first 16 hex digits of the sha256 of the photo's bytes.
    """

    image_id: str
    path: str
    height: int
    width: int
    labels: tuple[int, ...] | None
    digest: str

    @property
    def plain(self) -> dict[str, Any]:
        """Field → value. `dataclasses.asdict` copies in depth, too slow for 100,000 images."""
        return {
            "image_id": self.image_id,
            "path": self.path,
            "height": self.height,
            "width": self.width,
            "labels": self.labels,
            "digest": self.digest,
        }


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_text(text: str) -> str:
    """First 16 hex digits of the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sort_entries(entries: Iterable[ImageEntry]) -> list[ImageEntry]:
    """Entries by image_id, which is unique; comparing whole entries takes longer."""
    return sorted(entries, key=attrgetter("image_id"))


def sample_entries(entries: Iterable[ImageEntry], most: int) -> list[ImageEntry]:
    """At most so many entries, by image_id; which ones depends on their names alone."""
    return sort_entries(sorted(entries, key=lambda entry: digest_text(entry.image_id))[:most])


def list_digest(entries: Iterable[ImageEntry]) -> str:
    """Digest of a list; neither order of the input nor times enter it."""
    return digest_text(canonical_json([entry.plain for entry in sort_entries(entries)]))


def write_list(index_folder: Path, entries: Sequence[ImageEntry], *, digest: str | None = None) -> str:
    """Write a list once below `index_folder` (results/index); returns its digest, unless given it is computed."""
    digest = digest or list_digest(entries)
    write_once(
        index_folder / digest / LIST_NAME, {"images": [entry.plain for entry in sort_entries(entries)]}
    )
    return digest


def write_once(path: Path, value: Any) -> None:
    """Write JSON unless the file exists; a reader sees the whole file or none."""
    if not path.exists():
        replace_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_list(path: Path) -> list[ImageEntry]:
    """Read a list, sorted by image_id."""
    try:
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
    except FileNotFoundError:
        raise InputError(
            f"{path}: image list is missing; `irnet-pipe index_dataset` (or any snakemake run) writes it anew"
        ) from None
    return [ImageEntry(**(image | {"labels": _labels(image["labels"])})) for image in images]


def _labels(labels: list[int] | None) -> tuple[int, ...] | None:
    return None if labels is None else tuple(labels)
