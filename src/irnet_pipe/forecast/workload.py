"""How much a job has to do, and what tells jobs of one speed from others of their stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irnet_pipe.data.image_list import ImageEntry, canonical_json, sample_entries
from irnet_pipe.data.photo_files import working_size
from irnet_pipe.recipes import Record
from irnet_pipe.stage_table import DEVICE_STAGES, LOOKED_AT, SEGMENTERS, TRAINERS

Lookup = Callable[[str], Record | None]
"""Recipe → its record, where it is known."""

MEGA = 1_000_000
LONG_SIDE = "dataset.working_long_side"

SPEED_KEYS = (
    "backbone",
    "batch",
    "batch_norm",
    "crf.iterations",
    "crop",
    "displacement.iterations",
    "exp_times",
    "freeze",
    "max_side",
    "optimizer",
    "precision",
    "radius",
    "regions",
    "short_side",
    "threads",
)
"""Last parts of the config keys on which the time for a megapixel depends."""

WITHOUT_NEGATIVES = frozenset(
    {
        "infer_cam",
        "mine_relations",
        "infer_irnet",
        "refine_displacement",
        "propagate",
        "mine_affinitynet",
        "propagate_affinitynet",
        "export_masks",
    }
)
"""Stages that have next to nothing to do with an image that holds no class."""

FULL_SIZE = frozenset({"export_masks", "gather_masks", "evaluate_masks", "publish"})
"""Stages that work at the size of the photo as displayed."""


@dataclass(frozen=True)
class Workload:
    """What the time of a job grows with.

    Attributes:
        items: images that its progress counts; of a training those of all steps.
        megapixels: that pass through it, all scales of an image added up.
        largest: megapixels of the largest image.
    """

    items: int = 0
    megapixels: float = 0
    largest: float = 0


def workload(record: Record, entries: Sequence[ImageEntry], lookup: Lookup) -> Workload:
    """Work of a job on its images.

    Args:
        record: of its artifact.
        entries: of its image lists.
        lookup: records of its parents.
    """
    if record.stage in TRAINERS:
        return _training(record, entries)
    if record.stage in LOOKED_AT:
        entries = sample_entries((entry for entry in entries if entry.labels), LOOKED_AT[record.stage])
    long_side = _setting(record, LONG_SIDE, lookup)
    pixels = [_pixels(record, entry, long_side) / MEGA for entry in entries]
    return Workload(len(pixels), sum(pixels), max(pixels, default=0))


def _training(record: Record, entries: Sequence[ImageEntry]) -> Workload:
    name = record.stage.removeprefix("train_")
    settings = record.spec["config"].get(f"{name}.train")
    if settings is None:  # a weights file takes its place
        return Workload()
    samples = len(entries) if name == "cam" else sum(bool(entry.labels) for entry in entries)
    batch = settings["batch"]
    steps = settings.get("iterations") or samples // batch * settings["epochs"]
    side = (
        (settings["crop"],) * 2 if "crop" in settings else (settings["short_side"][1], settings["max_side"])
    )
    pixels = side[0] * side[1] / MEGA
    return Workload(steps * batch, steps * batch * pixels, pixels)


def _pixels(record: Record, entry: ImageEntry, long_side: int | None) -> float:
    stage, config = record.stage, record.spec["config"]
    if stage in WITHOUT_NEGATIVES and entry.labels == ():
        return 0
    if stage in FULL_SIZE:
        return entry.height * entry.width
    height, width = working_size(entry.height, entry.width, long_side=long_side)
    settings = config.get(f"{stage.removeprefix('infer_')}.infer", {})
    if "canvas" in settings:
        return float(max(settings["canvas"], height, width) ** 2)
    if "max_side" in settings:
        return float(settings["short_side"] * settings["max_side"])
    return float(height * width * sum(scale**2 for scale in settings.get("scales", (1,))))


def _setting(record: Record, key: str, lookup: Lookup) -> Any:
    """Value of a config key that a job reads, or that the first of its parents does."""
    for recipe in (record.recipe, *(parent.recipe for parent in record.parents)):
        found = record if recipe == record.recipe else lookup(recipe)
        if found is not None and key in found.spec["config"]:
            return found.spec["config"][key]
    return None


def speed_key(record: Record, lookup: Lookup) -> str:
    """A text that jobs have in common which take equally long for a megapixel on the same machine."""
    settings = dict(_speed_settings(record.spec["config"]))
    return canonical_json([record.stage, record.version, _masks(record), settings, _network(record, lookup)])


def _speed_settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _speed_settings(value, f"{path}.")
        elif any(f".{path}".endswith(f".{key}") for key in SPEED_KEYS):
            yield path, value


def _masks(record: Record) -> str | None:
    """What kind of masks a job makes or reads, as far as that decides how long it takes."""
    variant: str | None = record.spec.get("variant")
    if variant is None or record.stage == "export_masks":
        return variant
    return next((name for name in SEGMENTERS if variant.startswith(f"{name}_")), "")


def _network(record: Record, lookup: Lookup) -> str | None:
    """The network that a job computes with: its backbone, or the digest of the weights file that it comes from."""
    if record.stage not in DEVICE_STAGES or record.stage in TRAINERS:
        return None
    trainer = next((parent for parent in record.parents if parent.stage in TRAINERS), None)
    above = None if trainer is None else lookup(trainer.recipe)
    return None if above is None else backbone(above) or canonical_json(above.spec["files"])


def backbone(record: Record) -> str | None:
    """Backbone of a training; None where a weights file takes its place."""
    name: str | None = record.spec["config"].get(f"{record.stage.removeprefix('train_')}.backbone")
    return name
