"""The gallery of a report: images with their thumbnails, some with every layer; what they add up to per class."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.errors import ArtifactError
from irnet_pipe.report import pictures
from irnet_pipe.report.figures import HATCH, INSTANCE_COLOURS, LABEL_COLOURS
from irnet_pipe.report.gallery_data import (
    FOLDER,
    ROWS,
    files_call,
    layers_call,
    page_call,
    read_unit,
)
from irnet_pipe.report.html import Gallery
from irnet_pipe.report.layers import classes_of, draw_layers, instances_of
from irnet_pipe.report.pictures import data_uri
from irnet_pipe.report.table import Table
from irnet_pipe.runtime.job import Job


def gallery(job: Job, units: Sequence[Path]) -> Gallery:
    """The gallery; thumbnails are in it or, where the recipe says so, beside it.

    Args:
        job: of the report.
        units: tars of draw_thumbnails.
    """
    return Gallery([page_call(_facts(job, units)), *_thumbnails(job, units), *_layers(job)])


def rows(units: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Rows of all images, shard by shard."""
    for path in units:
        yield from unit_rows(path)


def unit_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a shard, in the order of its pictures."""
    try:
        found: list[dict[str, Any]] = read_unit(_script(path))["rows"]
    except (KeyError, ValueError) as error:
        raise damaged_pictures(path, error) from None
    return found


def class_table(units: Sequence[Path], class_names: Sequence[str]) -> Table:
    """Images and masks of each class."""
    images, empty = [0] * len(class_names), [0] * len(class_names)
    scores: list[list[float]] = [[] for _ in class_names]
    areas: list[list[float]] = [[] for _ in class_names]
    for row in rows(units):
        for mask in row["masks"]:
            scores[mask["class"]].append(mask["score"])
            areas[mask["class"]].append(100 * mask["area"])
        for class_id in row["labels"]:
            images[class_id] += 1
            empty[class_id] += class_id not in {mask["class"] for mask in row["masks"]}
    columns = ("class", "images", "without mask", "masks", "median score", "median size, %")
    cells = [
        [name, images[i], empty[i], len(scores[i]), _median(scores[i]), _median(areas[i])]
        for i, name in enumerate(class_names)
    ]
    return Table(columns, cells, decimals=2)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _facts(job: Job, units: Sequence[Path]) -> dict[str, Any]:
    names = job.fact("classes")
    published = job.fact("variants")[-1]
    return {
        "classes": names,
        "colours": [_hex(LABEL_COLOURS[1 + i % HATCH]) for i in range(len(names))],
        "instance_colours": [_hex(colour) for colour in INSTANCE_COLOURS],
        "layers": {"instances": instances_of(published), "classes": classes_of(published)},
        "folder": FOLDER,
        "beside": [_name(path) for path in units] if job.fact("beside") else [],
    }


def _thumbnails(job: Job, units: Sequence[Path]) -> Iterator[str]:
    """What the page itself holds of the shards."""
    if job.fact("beside"):
        return
    for path in units:
        yield _script(path)
        files = {}
        with open_tar(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is not None and member.name != ROWS:
                    files[member.name] = data_uri(content.read(), member.name.rpartition(".")[2])
        yield files_call(_name(path), files)


def _layers(job: Job) -> Iterator[str]:
    if job.fact("shown"):
        for entry, layers in draw_layers(job):
            yield layers_call(entry.image_id, [(layer, pictures.encode(layer)) for layer in layers])


def _script(path: Path) -> str:
    """rows.js of a shard."""
    with open_tar(path) as tar:
        try:
            content = tar.extractfile(ROWS)
        except KeyError as error:
            raise damaged_pictures(path, error) from None
        return content.read().decode() if content is not None else ""


def damaged_pictures(path: Path, error: Exception) -> ArtifactError:
    """What is told of a tar of draw_thumbnails that lacks a member, or holds another."""
    return ArtifactError(f"{path}: damaged ({error}); delete it and run snakemake again")


def _name(path: Path) -> str:
    """Unit of an artifact."""
    return path.name.split(".")[0]


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)
