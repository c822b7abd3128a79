"""mine_relations: confident label maps of the training images that have labels (Ahn et al. 2019, sec. 4.2).

Stored is the map (H, W) u1 of local labels: 0 background, 1…k the image's own classes, 255 neutral.
"""

from __future__ import annotations

import torch

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader, write_artifact
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.numerics.relations import confident_labels
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.photos import image_size, open_photo


def run(job: Job) -> None:
    """Write the confident labels of a shard."""
    torch.set_num_threads(1)
    foreground, background = _thresholds(job)
    settings = {"fg_threshold": foreground, "bg_threshold": background, **job.setting("relations")["crf"]}
    with (
        ArtifactReader(job.parent("infer_cam"), kind="cam") as cams,
        write_artifact(job.output, job.record) as writer,
    ):
        for entry in job.progress(job.images):
            if not entry.labels:
                writer.add(entry.image_id, cams.size(entry.image_id), {})
                continue
            photo = open_photo(job, entry)
            class_id, maps = read_class_maps(cams, entry.image_id)
            cam = highres_cam([torch.from_numpy(map_) for map_ in maps], size=photo.shape[:2])
            label = confident_labels(torch.from_numpy(photo), cam, **settings)
            arrays = {"class_id": class_id, "label": label.numpy()}
            writer.add(entry.image_id, image_size(entry, photo), arrays)


def _thresholds(job: Job) -> tuple[float, float]:
    """Of foreground and background: those of the config, or chosen ones, which never cross a given one."""
    foreground, background = (job.setting("relations")[name] for name in ("fg_threshold", "bg_threshold"))
    for path in job.parents("select_relation_thresholds"):
        chosen = read_json(path, kind="relation_thresholds")
        if background == "auto":
            least = chosen["bg_threshold"]
            background = least if foreground == "auto" else min(least, foreground)
        if foreground == "auto":
            foreground = max(chosen["fg_threshold"], background)
    return foreground, background
