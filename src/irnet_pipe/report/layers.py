"""All that the stages made of a photo, as layers that the gallery lays over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import has_irnet_maps, read_boundary, read_displacement
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.masks import read_instances, read_semantic
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.photos import load_photo
from irnet_pipe.evaluation.ground_truth import GroundTruth, open_truth
from irnet_pipe.numerics.cam import strided_cam
from irnet_pipe.report import figures
from irnet_pipe.report.pictures import Picture
from irnet_pipe.runtime.job import Job

KINDS = {
    "infer_cam": "cam",
    "mine_relations": "relations",
    "infer_irnet": "irnet_maps",
    "refine_displacement": "instances",
}
SHOWN_LONG_SIDE = 640
SURE = 0.5
"""Score from which detections are shown."""


def instances_of(variant: str) -> str:
    """Name of the layer of a variant's instances."""
    return f"instances, {variant}"


def classes_of(variant: str) -> str:
    """Name of the layer of a variant's semantic mask."""
    return f"semantic mask, {variant}"


def draw_layers(job: Job) -> Iterator[tuple[ImageEntry, list[Picture]]]:
    """The layers of each image that the recipe names, the lowest first."""
    shown = set(job.fact("shown"))
    with ExitStack() as stack:
        sources = {
            stage: stack.enter_context(ShardSet(job.parents(stage), kind=kind))
            for stage, kind in KINDS.items()
        }
        masks, predicted = (
            {name: stack.enter_context(ShardSet(job.masks(name)[1], kind="masks")) for name in names}
            for names in (job.fact("variants"), job.record.spec.get("learnt_from", ()))
        )
        truth = None
        if "truth" in job.record.spec:
            truth = open_truth(job.truth, root=job.root, class_names=job.fact("classes"))
        drawer = _Drawer(job, sources, masks, predicted, truth)
        entries = [entry for entry in job.images if entry.image_id in shown]
        for entry in job.progress(entries, total=len(entries)):
            yield entry, list(drawer.layers(entry))


class _Drawer:
    def __init__(
        self,
        job: Job,
        sources: dict[str, ShardSet],
        masks: dict[str, ShardSet],
        predicted: dict[str, ShardSet],
        truth: GroundTruth | None,
    ) -> None:
        self.job, self.sources, self.masks, self.truth = job, sources, masks, truth
        self.predicted = predicted
        calibration = job.parents("calibrate_displacement")
        mean = read_json(calibration[0], kind="calibration")["mean_displacement"] if calibration else [0, 0]
        self.mean = np.asarray(mean, dtype=np.float32)[:, None, None]

    def layers(self, entry: ImageEntry) -> Iterator[Picture]:
        """All layers of one image; stages that have nothing of it are left out."""
        photo = load_photo(self.job.photo(entry), long_side=SHOWN_LONG_SIDE)
        self.shown = (photo.shape[0], photo.shape[1])
        yield Picture("photo", Image.fromarray(photo))
        of_maps = (self._cam, self._relations, self._irnet, self._instance_map)
        for draw in (*of_maps, self._masks, self._predictions, self._truth):
            yield from draw(entry)

    def _cam(self, entry: ImageEntry) -> Iterator[Picture]:
        _, maps = read_class_maps(self.sources["infer_cam"], entry.image_id)
        if maps:
            size = self.sources["infer_cam"].size(entry.image_id).working
            cam = strided_cam([torch.from_numpy(map_) for map_ in maps], size=size)
            yield Picture("CAM", figures.draw_cam(cam.numpy()))

    def _relations(self, entry: ImageEntry) -> Iterator[Picture]:
        source = self.sources["mine_relations"]
        if entry.image_id in source and "label" in source.names(entry.image_id):
            class_id = source.read(entry.image_id, "class_id")
            label = source.read(entry.image_id, "label")
            local = [int(i) + 1 for i in class_id]
            yield Picture("confident labels", figures.draw_labels(label, local_labels=local), flat=True)

    def _irnet(self, entry: ImageEntry) -> Iterator[Picture]:
        source = self.sources["infer_irnet"]
        if entry.image_id in source and has_irnet_maps(source, entry.image_id):
            displacement = read_displacement(source, entry.image_id) - self.mean
            yield Picture("boundary", figures.draw_boundary(read_boundary(source, entry.image_id)))
            yield Picture("displacement", figures.draw_displacement(displacement))

    def _instance_map(self, entry: ImageEntry) -> Iterator[Picture]:
        source = self.sources["refine_displacement"]
        if entry.image_id in source and "instance_map" in source.names(entry.image_id):
            instance_map = source.read(entry.image_id, "instance_map")
            yield Picture("instance map", figures.draw_instance_map(instance_map), flat=True)

    def _masks(self, entry: ImageEntry) -> Iterator[Picture]:
        for variant, source in self.masks.items():
            found = read_instances(source, entry.image_id).without_fragments()
            if variant == self.job.fact("variants")[-1]:
                yield self._classes(variant, source, entry)
            yield self._instances(instances_of(variant), found.runs, entry)

    def _predictions(self, entry: ImageEntry) -> Iterator[Picture]:
        """What segmenters see; of detections only those that are surer than not."""
        for name, source in self.predicted.items():
            if "instance_score" not in source.names(entry.image_id):
                yield self._classes(name, source, entry)
                continue
            found = read_instances(source, entry.image_id)
            sure = [found.runs[i] for i in np.flatnonzero(found.score >= SURE)]
            yield self._instances(f"{instances_of(name)}, score ≥ {SURE}", sure, entry)

    def _truth(self, entry: ImageEntry) -> Iterator[Picture]:
        if self.truth is not None and entry.image_id in self.truth:
            true = self.truth.masks(entry.image_id, size=(entry.height, entry.width)).without_crowds()
            yield self._instances("ground truth", true.runs, entry)

    def _classes(self, name: str, source: ShardSet, entry: ImageEntry) -> Picture:
        picture = figures.draw_classes(
            *read_semantic(source, entry.image_id), size=(entry.height, entry.width), shown=self.shown
        )
        return Picture(classes_of(name), picture, flat=True)

    def _instances(self, name: str, masks: Sequence[NDArray[np.uint32]], entry: ImageEntry) -> Picture:
        stack = figures.decode_at(masks, size=(entry.height, entry.width), shown=self.shown)
        return Picture(name, figures.draw_masks(stack), flat=True)
