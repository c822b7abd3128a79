"""What `init` tells of a data set: sizes, classes, negatives, duplicates, classes with few photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.scan import scan_files, split_suffix
from irnet_pipe.index import Index

FEW = 10
"""Photos below which a class is told to have few."""
SHOWN = 10
UNREAD = frozenset(
    {
        ".heic",
        ".heif",
        ".avif",
        ".gif",
        ".jxl",
        ".jp2",
        ".psd",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raw",
    }
)
"""Suffixes of pictures that nothing here reads."""


def survey(index: Index) -> Iterator[str]:
    """Lines about a data set."""
    entries = sorted({*index.train, *index.label})
    sides = sorted((entry.width * entry.height, entry.width, entry.height) for entry in entries)
    smallest, largest = (f"{width}×{height}" for _, width, height in (sides[0], sides[-1]))
    usual = median(max(entry.height, entry.width) for entry in entries)
    spread = f"{smallest} to {largest} pixels, median long side {usual:.0f}"
    yield f"photos: {len(entries)}, {spread if smallest != largest else f'all of {smallest} pixels'}"
    counts = Counter(class_id for entry in index.train for class_id in entry.labels or ())
    named = [(name, counts[class_id]) for class_id, name in enumerate(index.classes)]
    told = sorted((item for item in named if item[1]), key=lambda item: -item[1])
    yield f"classes: {len(told)}, photos of each: {_cut([f'{name} {count}' for name, count in told], 40)}"
    negatives = sum(entry.labels == () for entry in index.train)
    yield f"negatives (photos without any class): {negatives}"
    if len(told) == 1 and not negatives:
        yield (
            "warning: one class alone can be learnt only beside photos without it; add some, and list them without "
            "a label"
        )
    few = [f"{name} {count}" for name, count in told if count < FEW]
    if few:
        yield f"warning: classes with fewer than {FEW} photos will be learnt badly: {_cut(few)}"
    yield from _duplicates(entries)


def unread_files(folder: Path) -> list[str]:
    """A line about the pictures of a folder that are of formats which are not read; none where there are none."""
    counts = Counter(split_suffix(name)[1] for name in scan_files(folder, suffixes=UNREAD))
    told = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
    return [f"files of formats that are not read: {told}; convert them to JPEG or PNG"] if told else []


def _duplicates(entries: list[ImageEntry]) -> Iterator[str]:
    by_digest: dict[str, list[ImageEntry]] = {}
    for entry in entries:
        by_digest.setdefault(entry.digest, []).append(entry)
    groups = [group for group in by_digest.values() if len(group) > 1]
    if not groups:
        yield "duplicates by content: none"
        return
    copies = sum(len(group) - 1 for group in groups)
    yield f"duplicates by content: {copies} photos: {_cut([_equation(group) for group in groups])}"
    unlike = [group for group in groups if len({entry.labels for entry in group}) > 1]
    if unlike:
        yield (
            f"warning: duplicates with different labels: {_cut([_equation(group) for group in unlike])}; keep one of "
            "each, with all of its labels"
        )


def _equation(group: list[ImageEntry]) -> str:
    return " = ".join(entry.path for entry in group)


def _cut(items: list[str], shown: int = SHOWN) -> str:
    return ", ".join(items[:shown]) + (f" and {len(items) - shown} more" if len(items) > shown else "")
