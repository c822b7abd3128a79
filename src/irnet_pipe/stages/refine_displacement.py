"""refine_displacement: centroids and the class-agnostic instance map (Ahn et al. 2019, sec. 5.1).

Stored are centroid (2, h, w) i2, the place a pixel comes to rest at, and instance_map (h, w) u2
(u4 beyond 65,536 clusters), clusters 0…n−1.
"""

from __future__ import annotations

import numpy as np

from irnet_pipe.artifacts.io import ArtifactReader, write_artifact
from irnet_pipe.artifacts.irnet_maps import read_displacement
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.numerics.clustering import cluster_centroids
from irnet_pipe.numerics.displacement import refine_centroids
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write centroids and instance maps of a shard."""
    settings = job.setting("displacement")
    calibration = read_json(job.parent("calibrate_displacement"), kind="calibration")
    mean = np.array(calibration["mean_displacement"], dtype=np.float32)[:, None, None]
    with (
        ArtifactReader(job.parent("infer_irnet"), kind="irnet_maps") as maps,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            arrays = {}
            if entry.labels != ():
                displacement = read_displacement(maps, entry.image_id) - mean
                centroids = refine_centroids(displacement, max_iterations=settings["iterations"])
                instance_map = cluster_centroids(centroids, displacement, threshold=settings["threshold"])
                few = int(instance_map.max()) < 2**16
                arrays = {
                    "centroid": centroids.astype(np.int16),
                    "instance_map": instance_map.astype(np.uint16 if few else np.uint32),
                }
            writer.add(entry.image_id, maps.size(entry.image_id), arrays, {"stride": 4})
