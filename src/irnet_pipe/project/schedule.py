"""Settings that fit a data set and a machine, by the rules of docs/own_data.md."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any

from irnet_pipe.config import AUTO
from irnet_pipe.config.trainings import PAPER_BATCH, classifier_rate
from irnet_pipe.data.image_list import ImageEntry

LEAST_EPOCHS, MOST_EPOCHS = 5, 100
SEEN = 100
"""Times that the photos of the rarest class are shown, together."""
PAPER_SIDE, PAPER_RADIUS, PAPER_THRESHOLD = 512, 10, 2.5
PAPER_EXP_TIMES, LEAST_EXP_TIMES = 8, 3
BATCH_MEMORY = 8 << 30
"""Of memory for a batch of 16 crops of 512 pixels, bytes: twice what `validate` estimates for ResNet-50."""
LEAST_SIDE, LEAST_RADIUS = 96, 4
PHOTOS_PER_SHARD = 1000


@dataclass(frozen=True)
class Machine:
    """What a run is to be fitted to.

    Attributes:
        device: cpu, or the name of a CUDA device.
        memory: of the device, bytes.
        side: working long side of photos, pixels.
        steps: of a training: at least, and at most.
        backbone: of torchvision.
    """

    device: str
    memory: int
    side: int
    steps: tuple[int, int]
    backbone: str

    @property
    def pixels(self) -> int:
        """Of a batch together, at most."""
        return PAPER_BATCH * PAPER_SIDE**2 * self.memory // BATCH_MEMORY


def gpu(name: str, memory: int) -> Machine:
    """A CUDA device: the paper's network and side."""
    return Machine(name, memory, PAPER_SIDE, (1000, 20_000), "resnet50")


def cpu(memory: int) -> Machine:
    """No CUDA device: half the side, a smaller network, fewer steps."""
    return Machine("cpu", memory, PAPER_SIDE // 2, (300, 3000), "resnet18")


def fit_schedule(train: tuple[ImageEntry, ...], machine: Machine) -> dict[str, Any]:
    """Values of the config for a training set, by section.

    Args:
        train: training images.
        machine: where they train.
    """
    labelled = [entry for entry in train if entry.labels]
    counts = Counter(class_id for entry in labelled for class_id in entry.labels or ())
    rarest = min(counts.values(), default=1)
    side = _side(train, machine)
    radius = max(LEAST_RADIUS, round(PAPER_RADIUS * side / PAPER_SIDE))
    cam_batch, irnet_batch = (_batch(len(images), side, machine) for images in (train, labelled))
    cam_rate = classifier_rate(batch=cam_batch, classes=len(counts))
    irnet_rate = irnet_batch / PAPER_BATCH
    return {
        "shards": {"n": min(64, max(2, math.ceil(len(train) / PHOTOS_PER_SHARD)))},
        "dataset": {"working_long_side": machine.side},
        "cam": {
            "backbone": machine.backbone,
            "train": {
                "epochs": _epochs(len(train), cam_batch, rarest=rarest, machine=machine),
                "batch": cam_batch,
                "crop": side,
                "long_side": [side * 5 // 8, side * 5 // 4],
                "lr": round(0.1 * cam_rate, 6),
                "lr_classifier": round(1.0 * cam_rate, 6),
            },
        },
        "irnet": {
            "backbone": machine.backbone,
            "radius": radius,
            "train": {
                "epochs": _epochs(len(labelled), irnet_batch, rarest=rarest, machine=machine),
                "batch": irnet_batch,
                "crop": side,
                "lr_boundary": 0.1 * irnet_rate,
                "lr_displacement": 1.0 * irnet_rate,
            },
            "infer": {"canvas": side},
        },
        "displacement": {"threshold": PAPER_THRESHOLD * radius / PAPER_RADIUS},
        "random_walk": {"exp_times": _exp_times(side)},
        "relations": {"fg_threshold": AUTO, "bg_threshold": AUTO},
        "export": {"instance": {"bg_threshold": AUTO}, "semantic": {"bg_threshold": AUTO}},
    }


def _side(train: tuple[ImageEntry, ...], machine: Machine) -> int:
    """Side of crops: the median long side of the photos as they are processed, in steps of 32."""
    usual = median(min(max(entry.height, entry.width), machine.side) for entry in train)
    return max(LEAST_SIDE, math.ceil(usual / 32) * 32)


def _exp_times(side: int) -> int:
    """Doublings of the walk: scores spread as the root of its steps, over the same share of a photo of any size."""
    return max(LEAST_EXP_TIMES, round(PAPER_EXP_TIMES + 2 * math.log2(side / PAPER_SIDE)))


def _batch(images: int, side: int, machine: Machine) -> int:
    """The greatest power of two up to 16 of which a training set has four and which the memory holds."""
    batch = PAPER_BATCH
    while batch > 1 and (4 * batch > images or batch * side**2 > machine.pixels):
        batch //= 2
    return batch


def _epochs(images: int, batch: int, *, rarest: int, machine: Machine) -> int:
    """As many as the least steps and the rarest class ask for, as few as the most steps allow."""
    steps = max(1, images // batch)
    least, most = machine.steps
    asked = max(LEAST_EPOCHS, math.ceil(least / steps), math.ceil(SEEN / rarest))
    return max(1, min(asked, MOST_EPOCHS, most // steps))
