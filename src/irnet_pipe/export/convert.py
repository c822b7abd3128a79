"""`irnet-pipe export`: a published run in a format of other tools, in a folder that is whole or not there."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from irnet_pipe import __version__
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.export.formats import FORMATS
from irnet_pipe.export.new_folder import NewFolder, new_folder
from irnet_pipe.export.placing import NONE

LIST = "images.csv"
EXPORT = NewFolder(marker="export.json", kind="export", option="--to")


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
    with new_folder(to, EXPORT, force=force) as folder:
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
        (folder / EXPORT.marker).write_text(
            json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
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
