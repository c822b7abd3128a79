"""Masks cropped to their bounding box, so that a small object in a large photo is cheap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.export.coco import CocoInstance, rle_bounding_box


@dataclass(frozen=True)
class Crop:
    """A mask within its bounding box.

    Attributes:
        mask: (h, w) bool.
        left: first column of the box in the photo.
        top: first row of the box in the photo.
    """

    mask: NDArray[np.bool_]
    left: int
    top: int

    @property
    def height(self) -> int:
        """Rows of the box."""
        return len(self.mask)

    @property
    def width(self) -> int:
        """Columns of the box."""
        return len(self.mask.T)

    @property
    def corner(self) -> NDArray[np.int64]:
        """(2,) x and y of the first pixel of the box."""
        return np.array([self.left, self.top])

    def paint(self, canvas: NDArray[np.uint8], value: int) -> None:
        """Set the pixels of the mask in a canvas (H, W) of the whole photo."""
        canvas[self.top : self.top + self.height, self.left : self.left + self.width][self.mask] = value


def crop_instance(instance: CocoInstance, *, height: int) -> Crop:
    """Decode an instance; `height` is that of the photo. Only the columns of its box are filled."""
    left, top, wide, tall = rle_bounding_box(instance.counts, height=height)
    ends = np.cumsum(instance.counts, dtype=np.int64)
    within = np.clip(ends, left * height, (left + wide) * height)
    runs = np.diff(within, prepend=left * height)
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(wide, height)
    return Crop(np.ascontiguousarray(columns[:, top : top + tall].T), left, top)
