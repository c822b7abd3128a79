"""Training samples, and how they are loaded in batches.

A sample is named by (epoch, index), and what is drawn for it depends on (seed, stage, epoch, image_id) alone.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, default_collate

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import load_photo, rescale
from irnet_pipe.data.transforms import (
    crop_labels,
    crop_photo,
    crop_scores,
    jitter_colours,
    mirror,
    random_window,
    resize_labels,
)
from irnet_pipe.errors import InputError
from irnet_pipe.numerics.affinity_labels import labels_of_scores
from irnet_pipe.numerics.relations import downsample_labels
from irnet_pipe.runtime.interrupt import shield_children
from irnet_pipe.runtime.seeding import generator

Sample = tuple[Any, Any]
"""Photo and target: tensors, or what has a `to` as they have."""

DEATH = "DataLoader worker"
"""How torch's messages about the death of a process begin."""

DEATH_SECONDS = 5.0
"""How long after its connections the death of a process may be told, at most."""


class Samples(Dataset[Sample]):
    """Samples of a training.

    Args:
        entries: the images.
        root: folder that photo paths are relative to.
        seed: of the training.
        working_long_side: bound of the photo's long side, pixels; None: as it is.
    """

    def __init__(
        self, entries: Sequence[ImageEntry], root: Path, *, seed: int, working_long_side: int | None = None
    ) -> None:
        self.entries = entries
        self.root = root
        self.working_long_side = working_long_side
        self.seed = seed

    def __len__(self) -> int:
        return len(self.entries)

    def photo(self, entry: ImageEntry) -> NDArray[np.uint8]:
        """(H, W, 3) as displayed, before anything is drawn."""
        return load_photo(self.root / entry.path, long_side=self.working_long_side)

    def collate(self, samples: list[Sample]) -> Sample:
        """Join the samples of a batch."""
        joined: Sample = default_collate(samples)
        return joined


class ClassifierSamples(Samples):
    """Photo (3, s, s) and the classes present, (c,) of 0 and 1 in float32 (Ahn et al. 2019, sec. 6.1).

    Args:
        entries: the images; those without labels are negatives.
        root: folder that photo paths are relative to.
        n_classes: c.
        crop: s, pixels.
        long_side: range from which the photo's long side is drawn, pixels.
        seed: of the training.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        *,
        n_classes: int,
        crop: int,
        long_side: tuple[int, int],
        seed: int,
    ) -> None:
        super().__init__(entries, root, seed=seed)
        self.crop = crop
        self.n_classes = n_classes
        self.long_side = long_side

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(self.seed, "train_cam", epoch, entry.image_id)
        photo = self.photo(entry)
        low, high = self.long_side
        photo = rescale(photo, int(rng.integers(low, high + 1)) / max(photo.shape[:2]))
        if rng.random() < 0.5:
            photo = mirror(photo)
        window = random_window(*photo.shape[:2], side=self.crop, rng=rng)
        target = torch.zeros(self.n_classes)
        target[list(entry.labels or ())] = 1
        return crop_photo(photo, window, side=self.crop), target


class RelationSamples(Samples):
    """Photo (3, s, s) and its confident labels (h, h) uint8, h = ⌈s/4⌉ (Ahn et al. 2019, sec. 4.2).

    Args:
        entries: the images, each with labels.
        root: folder that photo paths are relative to.
        relations: artifacts of mine_relations; opened on first use, in each loading process anew.
        working_long_side: bound of the photo's long side, pixels; label maps have the photo's size under it.
        crop: s, pixels.
        scale: range from which the scale is drawn.
        seed: of the training.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        *,
        relations: Sequence[Path],
        working_long_side: int | None,
        crop: int,
        scale: tuple[float, float],
        seed: int,
    ) -> None:
        super().__init__(entries, root, seed=seed, working_long_side=working_long_side)
        self.crop = crop
        self.relations = relations
        self.scale = scale

    @cached_property
    def _labels(self) -> ShardSet:
        return ShardSet(self.relations, kind="relations")

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(self.seed, "train_irnet", epoch, entry.image_id)
        photo = rescale(self.photo(entry), rng.uniform(*self.scale))
        label = resize_labels(self._labels.read(entry.image_id, "label"), *photo.shape[:2])
        if rng.random() < 0.5:
            photo, label = mirror(photo), mirror(label)
        window = random_window(*photo.shape[:2], side=self.crop, rng=rng)
        strided = downsample_labels(crop_labels(label, window, side=self.crop))
        return crop_photo(photo, window, side=self.crop), strided


class AffinitySamples(Samples):
    """Photo (3, s, s) and its confident labels (h, h) uint8, h = s/8 (Ahn and Kwak 2018, sec. 3.1).

    Args:
        entries: the images, each with labels.
        root: folder that photo paths are relative to.
        scores: artifacts of mine_affinitynet; opened on first use, in each loading process anew.
        working_long_side: bound of the photo's long side, pixels; scores have the photo's size under it.
        crop: s, pixels, a multiple of 8.
        jitter: see `jitter_colours`.
        seed: of the training.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        *,
        scores: Sequence[Path],
        working_long_side: int | None,
        crop: int,
        jitter: Sequence[float],
        seed: int,
    ) -> None:
        super().__init__(entries, root, seed=seed, working_long_side=working_long_side)
        self.scores = scores
        self.crop = crop
        self.jitter = jitter

    @cached_property
    def _scores(self) -> ShardSet:
        return ShardSet(self.scores, kind="affinity_scores")

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(self.seed, "train_affinitynet", epoch, entry.image_id)
        photo = jitter_colours(self.photo(entry), self.jitter, rng=rng)
        both = [self._scores.read(entry.image_id, name) for name in ("low_alpha", "high_alpha")]
        score = np.concatenate(both).transpose(1, 2, 0)
        if rng.random() < 0.5:
            photo, score = mirror(photo), mirror(score)
        window = random_window(*photo.shape[:2], side=self.crop, rng=rng)
        low, high = crop_scores(score, window, side=self.crop).chunk(2)
        return crop_photo(photo, window, side=self.crop), labels_of_scores(low, high)


class _Guarded(Dataset[Sample | InputError]):
    """Hands on an `InputError` as a value: raised in a worker, it would arrive as a traceback."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, key: tuple[int, int]) -> Sample | InputError:
        try:
            return self.samples[key]
        except InputError as error:
            return error

    def collate(self, samples: list[Sample | InputError]) -> Sample | InputError:
        problems = [
            problem for sample in samples if isinstance(sample, InputError) for problem in sample.problems
        ]
        if problems:
            return InputError(problems)
        return self.samples.collate([sample for sample in samples if not isinstance(sample, InputError)])


@contextmanager
def dead_loaders_told(stage: str) -> Iterator[None]:
    """Within the block, the death of a process that loads photos is an `InputError`; `stage` is for the message.

    torch tells it by a signal, hence anywhere in the block.
    """
    try:
        try:
            yield
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
                raise
            time.sleep(DEATH_SECONDS)  # a connection to a process broke off: its death is about to be told
            raise RuntimeError(f"{DEATH}: {error}") from error
    except RuntimeError as error:
        if not str(error).startswith(DEATH):
            raise
        # the frames keep the loader alive, and as long as it lives, torch tells of the death again
        traceback.clear_frames(error.__traceback__)
        raise InputError(
            f"{stage}: a process that loads photos has died, most likely because memory ran out ({error}); set "
            f"runtime.workers lower, or give the job more memory (set-resources: {stage}: mem_mb in the "
            "profile), then run again: the training goes on from its last checkpoint"
        ) from None


def load_batches(
    samples: Samples, keys: Iterable[list[tuple[int, int]]], *, workers: int, device: torch.device
) -> Generator[Sample]:
    """Load batches in the order of `keys`, on to the device; to be closed.

    Args:
        samples: what is loaded.
        keys: samples of each batch.
        workers: processes that load ahead; 0 loads in this one. Results do not depend on it.
        device: where batches go.

    Raises:
        InputError: what the samples raise, all problems of a batch at once.
    """
    cuda = device.type == "cuda"
    guarded = _Guarded(samples)
    loader = DataLoader(
        guarded,
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=guarded.collate,
        pin_memory=cuda,
        # a fork of a process with threads may deadlock
        multiprocessing_context="spawn" if workers else None,
        # without a generator of its own, the loader draws from torch's
        generator=torch.Generator(),
    )
    with shield_children():
        batches = iter(loader)
    try:
        for batch in batches:
            if isinstance(batch, InputError):
                raise batch
            photo, target = batch
            yield (
                photo.to(device, non_blocking=cuda, memory_format=torch.channels_last),
                target.to(device, non_blocking=cuda),
            )
    finally:
        # ends the processes; a traceback would keep them alive
        del batches
