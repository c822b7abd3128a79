"""What `irnet-pipe predict` writes of each segmenter, photo by photo."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from irnet_pipe.artifacts.masks import InstanceMasks
from irnet_pipe.deployment.trained import TrainedSegmenter
from irnet_pipe.export.coco import CocoImage, CocoInstance, write_coco
from irnet_pipe.export.voc import encode_png
from irnet_pipe.models.inference import InstanceInference, SemanticInference
from irnet_pipe.numerics.run_lengths import compress_rle, decompress_rle
from irnet_pipe.report.overlays import draw_found_classes, draw_found_instances

INSTANCES = "instances.json"
CLASSES = "SegmentationClass"
OVERLAYS = "overlays"
SURE = 0.5
"""Score from which detections are drawn, where nothing else is asked for."""


class Output(Protocol):
    """A segmenter and the files of what it finds."""

    def find(self, photo: NDArray[np.uint8], path: Path) -> Any:
        """What there is in a photo (H, W, 3); `path` is for messages.

        Raises:
            InputError: the device lacks the memory.
        """

    def write(self, photo: NDArray[np.uint8], found: Any, *, name: str, png: str) -> None:
        """Write what was found in a photo; `png` is the name of its pictures."""

    def finish(self) -> None:
        """Write what is of all photos together."""


class InstanceOutput:
    """instances.json and pictures of Mask R-CNN.

    Args:
        trained: the segmenter.
        folder: to write to.
        device: to compute on.
        drawn_from: score from which instances are drawn; none: no pictures.
    """

    def __init__(
        self, trained: TrainedSegmenter, folder: Path, *, device: torch.device, drawn_from: float | None
    ) -> None:
        self.trained, self.folder, self.drawn_from = trained, folder, drawn_from
        self.inference = InstanceInference(
            trained.load_mask_rcnn(), trained.settings["maskrcnn.infer"], device=device
        )
        self.spool = _Spool(folder / ".instances.jsonl")

    def find(self, photo: NDArray[np.uint8], path: Path) -> InstanceMasks:
        """Instances, best first."""
        size = (photo.shape[0], photo.shape[1])
        return self.inference.find(self.inference.seen(photo), size=size, path=path)

    def write(self, photo: NDArray[np.uint8], found: InstanceMasks, *, name: str, png: str) -> None:
        """Keep the instances for the json, and draw them."""
        self.spool.add(CocoImage(name, photo.shape[0], photo.shape[1]), found)
        if self.drawn_from is not None:
            picture = draw_found_instances(
                photo, found, class_names=self.trained.classes, min_score=self.drawn_from
            )
            _save(picture, self.folder / OVERLAYS / self.trained.kind / png)

    def finish(self) -> None:
        """Write instances.json."""
        with (self.folder / INSTANCES).open("w", encoding="utf-8") as stream:
            write_coco(
                stream,
                self.spool,
                self.spool.instances(),
                class_names=self.trained.classes,
                description=self.trained.described(),
            )
        self.spool.remove()


class SemanticOutput:
    """Palette PNGs and pictures of DeepLab.

    Args:
        trained: the segmenter.
        folder: to write to.
        device: to compute on.
        drawn: whether there are to be pictures.
    """

    def __init__(self, trained: TrainedSegmenter, folder: Path, *, device: torch.device, drawn: bool) -> None:
        self.trained, self.folder, self.drawn = trained, folder, drawn
        self.inference = SemanticInference(
            trained.load_deeplab(),
            trained.settings["deeplab.infer"],
            long_side=trained.settings["dataset.working_long_side"],
            device=device,
        )

    def find(self, photo: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        """Label map (H, W): 0 background, class_id + 1."""
        size = (photo.shape[0], photo.shape[1])
        return self.inference.find(self.inference.seen(photo), size=size, path=path)

    def write(self, photo: NDArray[np.uint8], found: NDArray[np.uint8], *, name: str, png: str) -> None:
        """Write the label map, and draw it."""
        path = self.folder / CLASSES / png
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(found))
        if self.drawn:
            picture = draw_found_classes(photo, found, class_names=self.trained.classes)
            _save(picture, self.folder / OVERLAYS / self.trained.kind / png)

    def finish(self) -> None:
        """Nothing is of all photos together."""
        (self.folder / CLASSES).mkdir(exist_ok=True)


class _Spool:
    """Photos with their instances in a file, since a COCO json lists all photos first; iterates over the photos."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, image: CocoImage, found: InstanceMasks) -> None:
        masks = [
            {"counts": compress_rle(runs), "class_id": int(class_id), "score": float(score)}
            for runs, class_id, score in zip(found.runs, found.class_id, found.score, strict=True)
        ]
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"image": vars(image), "masks": masks}) + "\n")

    def __iter__(self) -> Iterator[CocoImage]:
        return (CocoImage(**line["image"]) for line in self._lines())

    def instances(self) -> Iterator[list[CocoInstance]]:
        for line in self._lines():
            yield [
                CocoInstance(decompress_rle(mask["counts"]), mask["class_id"], mask["score"])
                for mask in line["masks"]
            ]

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        with self._path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def remove(self) -> None:
        self._path.unlink()


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG", compress_level=1)
