"""What a run needs of disk and inference of memory, estimated before it starts, and what the machine has. Light."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photo_files import working_size
from irnet_pipe.index import Index

GIB = 1 << 30
INFERENCE_BYTES = 300
"""Of memory a pixel in the widest layers of a ResNet: input, middle, output of a block at stride 2 or 4."""
WEIGHTS_BYTES = 400 << 20
"""Of disk for both networks and two checkpoints of the larger; a third of a segmenter's, which is published too."""
THUMBNAIL_BYTES = 20_000
"""Of disk an image of the report's gallery."""
SCORE_BYTES = 0.3
"""Of disk a pixel of a class's probability after the CRF, which is 0 or 255 nearly everywhere."""


def inference_bytes(config: Config, entries: Iterable[ImageEntry]) -> int:
    """Memory of the networks on the largest photo: a photo and its mirror, at the largest scale."""
    bound = config.dataset.working_long_side
    sizes = [working_size(entry.height, entry.width, long_side=bound) for entry in entries]
    scale = max(1.0, *config.cam.infer.scales)
    cam = max(height * width for height, width in sizes) * scale**2
    irnet = max(config.irnet.infer.canvas, *(max(size) for size in sizes)) ** 2
    return round(2 * max(cam, irnet) * INFERENCE_BYTES)


def disk_bytes(config: Config, index: Index) -> int:
    """Room that the artifacts take, compression left out but for label maps."""
    bound = config.dataset.working_long_side
    scales = sum(scale**2 for scale in config.cam.infer.scales)
    affinitynet = "affinitynet" in config.mask_sources
    total = WEIGHTS_BYTES * (1 + affinitynet + 3 * len(config.segmenters))
    for entry in {*index.train, *index.label}:
        height, width = working_size(entry.height, entry.width, long_side=bound)
        n_classes = 1 if entry.labels is None else len(entry.labels)
        cam = 2 * n_classes * scales / 256
        maps = 2 * (3 + 1 + 3 * n_classes) / 16
        label_map = 0.05
        affinities = affinitynet * (1 + n_classes) * (2 * SCORE_BYTES + 2 / 64)
        total += round(height * width * (cam + maps + label_map + affinities)) + 20_000
    shown = len(index.label) if config.report.gallery == "all" else config.report.images
    return total + shown * THUMBNAIL_BYTES


def disk_free(folder: Path) -> int:
    """Free bytes on the disk that holds a folder, which need not exist yet."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


def host_memory() -> int:
    """Memory of this machine, bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
