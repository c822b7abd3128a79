"""Shards: images are cut by a hash of the image_id, training images and those that are only labelled separately."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from irnet_pipe.data.image_list import ImageEntry, list_digest, sort_entries


@dataclass(frozen=True)
class Unit:
    """A shard: its name and its images."""

    name: str
    entries: tuple[ImageEntry, ...]

    @cached_property
    def digest(self) -> str:
        """Digest of its image list."""
        return list_digest(self.entries)


def shard_of(image_id: str, n: int) -> int:
    """Shard of an image: a hash, so that appending images moves no other."""
    return zlib.crc32(image_id.encode()) % n


def _cut(entries: Iterable[ImageEntry], kind: str, n: int) -> list[Unit]:
    shards: dict[int, list[ImageEntry]] = defaultdict(list)
    for entry in entries:
        shards[shard_of(entry.image_id, n)].append(entry)
    return [Unit(f"{kind}-{i:02d}-of-{n:02d}", tuple(sort_entries(shards[i]))) for i in sorted(shards)]


@lru_cache(maxsize=4)  # the settings of a sweep share theirs
def cut_units(
    train: tuple[ImageEntry, ...], label: tuple[ImageEntry, ...], n: int
) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """Shards of the training images, and of the images to be labelled.

    An image in both lists is a training image: labelling works on its training shard, cut down to what is labelled.
    """
    training = {entry.image_id for entry in train}
    labelled = {entry.image_id for entry in label}
    both = _cut((entry for entry in train if entry.image_id in labelled), "train", n)
    rest = _cut((entry for entry in label if entry.image_id not in training), "label", n)
    return tuple(_cut(train, "train", n)), (*both, *rest)
