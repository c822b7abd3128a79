"""calibrate_displacement: mean displacement over the training images, padding left out.

The reference takes the mean over the images to be labelled, padding included; ours leaves both training and
calibration alone when more images are labelled.
"""

from __future__ import annotations

import numpy as np

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import has_irnet_maps, read_displacement
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.errors import InputError
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the mean displacement (dy, dx) in pixels at stride 4."""
    total, pixels = np.zeros(2), 0
    with ShardSet(job.parents("infer_irnet"), kind="irnet_maps") as maps:
        for image_id in maps.image_ids:
            if not has_irnet_maps(maps, image_id):
                continue
            displacement = read_displacement(maps, image_id)
            total += displacement.sum(axis=(1, 2), dtype=np.float64)
            pixels += displacement[0].size
    if not pixels:
        raise InputError(
            "no training image has a label, so there is no mean displacement; give labelled images"
        )
    mean = {"mean_displacement": (total / pixels).tolist(), "pixels": pixels}
    write_json(job.output, job.record, mean)
