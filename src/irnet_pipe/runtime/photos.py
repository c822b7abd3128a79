"""Photos of a job, at the size at which the method works."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irnet_pipe.artifacts.io import ImageSize
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import load_photo
from irnet_pipe.runtime.job import Job


def open_photo(job: Job, entry: ImageEntry) -> NDArray[np.uint8]:
    """The photo (H, W, 3) as displayed, at most `dataset.working_long_side` long."""
    return load_photo(job.photo(entry), long_side=job.setting("dataset.working_long_side"))


def image_size(entry: ImageEntry, photo: NDArray[np.uint8]) -> ImageSize:
    """Sizes that an artifact states of an image."""
    return ImageSize(entry.height, entry.width, *photo.shape[:2])
