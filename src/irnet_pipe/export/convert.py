"""`irnet-pipe export`: a published run in a format of other tools, in a folder that is whole or not there."""

from __future__ import annotations

import csv
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from irnet_pipe import __version__
from irnet_pipe.errors import InputError
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.export.formats import FORMATS, NONE

LIST = "images.csv"
MARKER = "export.json"
"""Written last; --force replaces no folder without it."""


def convert(dataset: Dataset, format_name: str, *, to: Path, force: bool = False) -> dict[str, int]:
    """Write a data set into a new folder.

    Args:
        dataset: what to write.
        format_name: a key of `FORMATS`.
        to: the folder; it may be there and empty.
        force: replace an earlier export.

    Returns:
        numbers of images and instances, and of the images of each split.

    Raises:
        InputError: the folder is taken, a photo is missing, or the format does not hold the masks.
    """
    write = FORMATS[format_name].load()
    with new_folder(to, force=force) as folder:
        counts = _write_list(dataset, folder / LIST)
        write(replace(dataset, totals={split: counts[split] for split in dataset.splits}), folder)
        published = dataset.published
        facts = {
            "format": format_name,
            "variant": published.variant,
            "recipe": published.recipe,
            "classes": dataset.classes,
            "val_share": dataset.val_share,
            **counts,
            "generated-by": f"irnet_pipe {__version__}",
        }
        (folder / MARKER).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return counts


def _write_list(dataset: Dataset, path: Path) -> dict[str, int]:
    """Write images.csv, all images, those without any instance too; what cannot be read or found is told here."""
    counts = {"images": 0, "images_without_instance": 0, "instances": 0, **dict.fromkeys(dataset.splits, 0)}
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["image", "split", "height", "width", "instances"])
        for photo in dataset.photos():
            split, instances = dataset.split_of(photo), len(photo.instances)
            if dataset.placing != NONE:
                dataset.source(photo)
            rows.writerow([photo.file_name, split, photo.height, photo.width, instances])
            counts["images"] += 1
            counts["images_without_instance"] += not instances
            counts["instances"] += instances
            counts[split] += 1
    return counts


@contextmanager
def new_folder(to: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside `to` that takes its place when the block ends well, and is removed otherwise.

    Raises:
        InputError: `to` is taken, and not by an earlier export that may be replaced.
    """
    _check_place(to, force=force)
    place = to.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        _check_place(to, force=force)
        if place.exists():
            replaced = temporary.with_suffix(".old")
            place.rename(replaced)
            temporary.rename(place)
            shutil.rmtree(replaced)
        else:
            temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_place(to: Path, *, force: bool) -> None:
    if not os.path.lexists(to) or (to.is_dir() and not any(to.iterdir())):
        return
    if not to.is_dir():
        raise InputError(f"{to}: is a file; give --to another name")
    if not (to / MARKER).is_file():
        raise InputError(
            f"{to}: is not empty and no earlier export (no {MARKER}); give --to another folder, or empty this one"
        )
    if not force:
        raise InputError(f"{to}: holds an export; give --to another folder, or replace it by --force")
