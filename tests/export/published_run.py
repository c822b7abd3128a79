"""A published run with masks of every kind: large and small, with holes, in parts, at the borders, none at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from irnet_pipe.cli.main import main
from irnet_pipe.export.coco import CocoImage, CocoInstance, write_coco
from irnet_pipe.numerics.run_lengths import encode_rle

CLASSES = ["möwe & <gull>", "cat", "a 'b' \"c\""]
RECIPE = "0123456789abcdef"
SIZES = {
    "site 1/ä b.jpg": (90, 130),
    "site 1/plain.png": (64, 48),
    "site 2/100% sure.jpg": (71, 83),
    "site 2/dot.in.name.jpg": (120, 120),
    "z.jpg": (33, 40),
}
NEGATIVE = "site 1/plain.png"


def masks_of(name: str) -> list[np.ndarray]:
    """Disjoint masks of a photo."""
    if name == NEGATIVE:
        return []
    size = SIZES[name]
    rng = np.random.default_rng(len(name))
    smooth = ndimage.gaussian_filter(rng.normal(size=size), 4)
    labels = np.digitize(smooth, np.quantile(smooth, [0.15, 0.5, 0.85]))
    labels[:4] = 0  # a band along the border, with what else has label 0 in parts
    labels[30:33, 5:30] = 9  # a line, within it a single pixel of its own
    labels[31, 10] = 8
    ring = np.hypot(*(np.indices(size) - 45)) if min(size) > 60 else np.zeros(size)
    labels[(ring > 8) & (ring < 15)] = 7
    labels[(ring > 2) & (ring < 4)] = 7  # a part in the hole of the other
    return [mask for mask in (labels == label for label in (0, 1, 3, 7, 8, 9)) if mask.any()]


@dataclass(frozen=True)
class MadeUp:
    """A published run and its photos; `masks`: file name → masks, classes and scores."""

    output: Path
    root: Path
    masks: dict[str, list[tuple[np.ndarray, int, float]]]

    def export(self, form: str, to: Path, *options: object) -> Path:
        arguments = ["export", self.output, "--format", form, "--to", to, *options]
        assert main([str(argument) for argument in arguments]) == 0
        return to


def publish_masks(path: Path, masks: dict, *, variant: str, classes: list[str] = CLASSES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [CocoImage(name, *SIZES.get(name, (30, 40))) for name in masks]
    instances = [[CocoInstance(encode_rle(m), class_id, s) for m, class_id, s in of] for of in masks.values()]
    description = f"pseudo instance masks, variant {variant}, recipe {RECIPE}"
    with path.open("w") as stream:
        write_coco(stream, images, instances, class_names=classes, description=description)
