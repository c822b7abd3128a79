"""A folder that snakemake runs in, made from photos and labels: the verb `init`."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnet_pipe.bundled_files import PROFILES
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.data.labels import PHOTO_FOLDERS
from irnet_pipe.data.photo_files import PhotoFolder, find_photos
from irnet_pipe.data.scan import StatCache
from irnet_pipe.data.truth_list import VOC_FOLDERS
from irnet_pipe.errors import InputError
from irnet_pipe.index import CACHE_NAME, Index, build_index
from irnet_pipe.project.found_labels import FoundLabels, PhotoNames
from irnet_pipe.project.recognise import recognise
from irnet_pipe.project.schedule import Machine, fit_schedule
from irnet_pipe.project.survey import survey, unread_files
from irnet_pipe.project.texts import (
    CONFIG,
    LABELS,
    README,
    SNAKEFILE,
    SNAKEFILE_TEXT,
    TRAIN,
    config_text,
    readme_text,
    table_text,
)
from irnet_pipe.recipes import INDEX

RESULTS = "results"
KEPT = (RESULTS, "outputs")
"""What --force leaves as it is."""


@dataclass(frozen=True)
class Made:
    """What `init` has made.

    Attributes:
        folder: where snakemake runs.
        lines: what was found and assumed.
    """

    folder: Path
    lines: list[str]


def create_project(
    photos: Path,
    labels: Path | None,
    *,
    to: Path | None,
    force: bool,
    machine: Machine,
    overrides: Mapping[str, Any],
) -> Made:
    """Write config, Snakefile, profiles and README for a folder of photos.

    Args:
        photos: folder of the photos, which is not written to.
        labels: file or folder of the labels; None where they lie with the photos.
        to: new folder; by default `<photos>-irnet` beside the photos.
        force: whether an earlier folder of this kind is written over; its results and outputs stay.
        machine: what the schedule is fitted to.
        overrides: nested values that count before those that are chosen.

    Raises:
        InputError: the place is taken, or anything is wrong with photos, labels or values.
    """
    if not photos.is_dir():
        raise InputError(f"{photos}: no such folder; give the folder of the photos")
    root = photos.resolve()
    place = (root.parent / f"{root.name}-irnet" if to is None else to).resolve()
    _check_place(place, root, labels=labels, force=force)
    with _placed(place) as folder:
        results = place / RESULTS if (place / RESULTS).is_dir() else folder / RESULTS
        cache = StatCache(results / INDEX / CACHE_NAME)
        truth = [root / name for name in VOC_FOLDERS.values()]
        files = find_photos(_photo_folder(root), root=root, skip=truth)
        unread = unread_files(files.folder)
        if not files.files:
            remedy = unread[0] if unread else "give the folder of the photos"
            raise InputError(f"{photos}: holds no photos; {remedy}")
        found = recognise(root, labels, photos=files, cache=cache)
        dataset, lines = _dataset(found, files, folder=folder, place=place, root=root)
        index = _index(merge({"dataset": dataset}, dict(overrides)), folder, root=root, cache=cache)
        values = merge({"run": _run_name(root.name), "dataset": dataset}, fit_schedule(index.train, machine))
        values = merge(values, dict(overrides))
        parse_config(values)
        _write(folder, values, index=index, machine=machine)
    told = [*survey(index), *(f"warning: {line}" for line in unread), *(f"assumed: {line}" for line in lines)]
    return Made(place, [f"labels: {found.told}", *told])


def _photo_folder(root: Path) -> Path:
    return next((root / name for name in PHOTO_FOLDERS if (root / name).is_dir()), root)


def _run_name(name: str) -> str:
    """A name that outputs/<run>/ may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "run"


def _dataset(
    found: FoundLabels, photos: PhotoFolder, *, folder: Path, place: Path, root: Path
) -> tuple[dict[str, Any], list[str]]:
    """Values of the section dataset, and what is assumed; writes labels and list that the index needs."""
    names, strangers, exact = _by_image(found, photos)
    assumed = list(found.assumed)
    beside = place.parent == root.parent
    values: dict[str, Any] = {"root": os.path.relpath(root, place) if beside else str(root)}
    if strangers:
        assumed.append(f"{len(strangers)} labels without photo are left out, such as {strangers[0]!r}")
    if not exact:
        assumed.append("labels name photos otherwise than by their path; those of that file name are meant")
    if found.settings is not None and exact and not strangers:
        values |= _own_labels(found.settings, root)
    else:
        (folder / LABELS).write_text(table_text(names), encoding="utf-8")
        copy = place / LABELS
        values["labels"] = os.path.relpath(copy, root) if beside else str(copy)
        if found.classes is not None:
            values["classes"] = list(found.classes)
        assumed.append(f"the labels, copied to {LABELS}, count from now on")
    unlabelled = [image_id for image_id in photos.files if image_id not in names]
    if unlabelled:
        trained = [image_id for image_id in photos.files if image_id in names]
        (folder / TRAIN).write_text("\n".join([*trained, ""]), encoding="utf-8")
        values |= {"train": TRAIN, "label": "all", "missing": "predict"}
        assumed.append(
            f"{len(unlabelled)} photos without labels, such as {unlabelled[0]!r}, do not train, and the classifier "
            "names their classes (dataset.missing)"
        )
    return values, assumed


def _own_labels(settings: dict[str, Any], root: Path) -> dict[str, Any]:
    """Keys by which the index reads the user's labels where they are, which are relative to the root."""
    if "labels" not in settings:
        return settings
    place = settings["labels"].resolve()
    return {"labels": place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)}


def _by_image(found: FoundLabels, photos: PhotoFolder) -> tuple[dict[str, tuple[str, ...]], list[str], bool]:
    """Labels by image_id, names that lead to no photo, and whether all others lead there as the index reads them."""
    resolver = PhotoNames(photos)
    names: dict[str, tuple[str, ...]] = {}
    strangers = []
    exact = True
    for name, classes in found.names.items():
        image_id = resolver.resolve(name)
        if image_id is None:
            strangers.append(name)
            continue
        exact &= photos.resolve(name) == image_id
        names[image_id] = tuple(dict.fromkeys([*names.get(image_id, ()), *classes]))
    if not names:
        shown = ", ".join(map(repr, strangers[:3]))
        raise InputError(
            f"{found.told}: none of its {len(strangers)} images ({shown}) is in {photos.folder}; give the folder of "
            "the photos that the labels name"
        )
    return names, strangers, exact


def _index(values: dict[str, Any], folder: Path, *, root: Path, cache: StatCache) -> Index:
    """Index of the data set as the run will see it, while its files lie in a temporary folder."""
    values = merge(values, {"dataset": {"root": str(root)}})
    dataset = values["dataset"]
    for key, name in (("labels", LABELS), ("train", TRAIN)):
        if (folder / name).is_file() and Path(dataset.get(key) or "").name == name:
            dataset[key] = str(folder / name)
    return build_index(parse_config(values), results=folder / RESULTS, cache=cache)


def _write(folder: Path, values: dict[str, Any], *, index: Index, machine: Machine) -> None:
    shutil.copytree(PROFILES, folder / "profiles")
    text = config_text(values, photos=len({*index.train, *index.label}), device=machine.device)
    (folder / CONFIG).write_text(text, encoding="utf-8")
    (folder / SNAKEFILE).write_text(SNAKEFILE_TEXT, encoding="utf-8")
    (folder / README).write_text(readme_text(values["run"]), encoding="utf-8")


def _check_place(place: Path, root: Path, *, labels: Path | None, force: bool) -> None:
    if place.is_relative_to(root):
        raise InputError(
            f"{place}: lies in the folder of the photos, which is not written to; give --to another"
        )
    for path in (root, *([] if labels is None else [labels.resolve()])):
        if path.is_relative_to(place):
            raise InputError(f"{place}: holds {path}; give --to another folder")
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return
    snakefile = place / SNAKEFILE
    if not snakefile.is_file() or snakefile.read_text(encoding="utf-8") != SNAKEFILE_TEXT:
        raise InputError(
            f"{place}: exists and was not made by irnet-pipe init; give --to another folder, or remove it"
        )
    if not force:
        raise InputError(
            f"{place}: exists; give --to another folder, or --force to write config, labels, profiles and README anew "
            "(results stay)"
        )


@contextmanager
def _placed(place: Path) -> Iterator[Path]:
    """A temporary folder whose files go to `place` when the block ends well."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        place.mkdir(exist_ok=True)
        for name in (CONFIG, SNAKEFILE, README, LABELS, TRAIN):
            (place / name).unlink(missing_ok=True)
        shutil.rmtree(place / "profiles", ignore_errors=True)
        for item in temporary.iterdir():
            if item.name not in KEPT or not (place / item.name).exists():
                item.rename(place / item.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
