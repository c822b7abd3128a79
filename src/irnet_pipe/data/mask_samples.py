"""Training samples of segmenters: photos with the masks of their instances, or with a label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irnet_pipe.data.datasets import Sample, Samples
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import rescale
from irnet_pipe.data.transforms import crop_labels, crop_photo, mirror, random_window, resize_labels
from irnet_pipe.runtime.seeding import generator

Target = dict[str, Tensor]


@dataclass(frozen=True)
class SeededPhotos:
    """Photos of a batch, (3, h, w) uint8 each, and a seed each for what a network draws on them."""

    photos: Sequence[Tensor]
    seeds: Sequence[int]

    def to(self, device: torch.device, *, non_blocking: bool = False, **_: Any) -> SeededPhotos:
        """The photos on a device."""
        return SeededPhotos(
            [photo.to(device, non_blocking=non_blocking) for photo in self.photos], self.seeds
        )


@dataclass(frozen=True)
class InstanceTargets:
    """For each photo of a batch: boxes (n, 4) float32, labels (n,) int64 from 1, masks (n, h, w) uint8."""

    targets: Sequence[Target]

    def to(self, device: torch.device, *, non_blocking: bool = False) -> InstanceTargets:
        """The targets on a device."""
        return InstanceTargets(
            [
                {name: value.to(device, non_blocking=non_blocking) for name, value in target.items()}
                for target in self.targets
            ]
        )


class MaskSource(Protocol):
    """Where the masks come from; pickled for the processes that load photos."""

    def instances(self, entry: ImageEntry) -> tuple[list[NDArray[np.bool_]], list[int]]:
        """Masks (H, W) at the size of the displayed photo, and the class_id of each."""

    def label_map(self, entry: ImageEntry) -> NDArray[np.uint8]:
        """Labels (H, W) at that size: 0 background, class_id + 1, 255 void."""


class InstanceSamples(Samples):
    """Photo (3, h, w) uint8 with its seed, and its instances.

    Args:
        entries: the images.
        root: folder that photo paths are relative to.
        source: of the masks.
        stage: which trains.
        short_side: range from which the photo's short side is drawn, pixels.
        max_side: bound of its long side.
        seed: of the training.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        *,
        source: MaskSource,
        stage: str,
        short_side: tuple[int, int],
        max_side: int,
        seed: int,
    ) -> None:
        super().__init__(entries, root, seed=seed)
        self.source = source
        self.stage = stage
        self.short_side = short_side
        self.max_side = max_side

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(self.seed, self.stage, epoch, entry.image_id)
        low, high = self.short_side
        short, flip = int(rng.integers(low, high + 1)), rng.random() < 0.5
        photo = scale_to(self.photo(entry), short_side=short, max_side=self.max_side)
        masks, classes = self.source.instances(entry)
        target = instance_target(masks, classes, size=photo.shape[:2], flip=flip)
        shown = np.ascontiguousarray(mirror(photo) if flip else photo)
        return (torch.from_numpy(shown).permute(2, 0, 1), int(rng.integers(2**62))), target

    def collate(self, samples: list[Sample]) -> Sample:
        """Photos and targets of a batch."""
        photos = SeededPhotos([photo for (photo, _), _ in samples], [seed for (_, seed), _ in samples])
        return photos, InstanceTargets([target for _, target in samples])


class SemanticSamples(Samples):
    """Photo (3, s, s), normalised, and its labels (s, s) uint8: 0 background, class_id + 1, 255 void or padding.

    Args:
        entries: the images.
        root: folder that photo paths are relative to.
        source: of the labels.
        stage: which trains.
        working_long_side: bound of the photo's long side before it is scaled, pixels.
        crop: s, pixels.
        scale: range from which the scale is drawn.
        seed: of the training.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        *,
        source: MaskSource,
        stage: str,
        working_long_side: int | None,
        crop: int,
        scale: tuple[float, float],
        seed: int,
    ) -> None:
        super().__init__(entries, root, seed=seed, working_long_side=working_long_side)
        self.source = source
        self.stage = stage
        self.crop = crop
        self.scale = scale

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(self.seed, self.stage, epoch, entry.image_id)
        photo = rescale(self.photo(entry), rng.uniform(*self.scale))
        label = resize_labels(self.source.label_map(entry), *photo.shape[:2])
        if rng.random() < 0.5:
            photo, label = mirror(photo), mirror(label)
        window = random_window(*photo.shape[:2], side=self.crop, rng=rng)
        return crop_photo(photo, window, side=self.crop), crop_labels(label, window, side=self.crop)


def scale_to(photo: NDArray[np.uint8], *, short_side: int, max_side: int) -> NDArray[np.uint8]:
    """Scale a photo (H, W, 3) to a short side, or less where the long side would be above `max_side`."""
    sides = photo.shape[:2]
    return rescale(photo, min(short_side / min(sides), max_side / max(sides)))


def instance_target(
    masks: Sequence[NDArray[np.bool_]], classes: Sequence[int], *, size: tuple[int, int], flip: bool
) -> Target:
    """Boxes, labels and masks at a size; an instance of which no pixel is left there is none.

    Args:
        masks: (H, W) each.
        classes: class_id of each.
        size: (h, w) of the photo that the network will see.
        flip: whether it is mirrored.
    """
    boxes, labels, kept = [], [], []
    for mask, class_id in zip(masks, classes, strict=True):
        small = resize_labels(mask.astype(np.uint8), *size)
        small = mirror(small) if flip else small
        rows, columns = (np.flatnonzero(small.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
            labels.append(1 + class_id)
            kept.append(small)
    return {
        "boxes": torch.tensor(np.array(boxes, dtype=np.float32).reshape(-1, 4)),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(np.array(kept, dtype=np.uint8).reshape(-1, *size)),
    }
