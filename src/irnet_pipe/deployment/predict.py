"""`irnet-pipe predict`: masks of photos outside of the data set, in a folder that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from irnet_pipe import __version__
from irnet_pipe.data.photo_files import LEAST_SIDE
from irnet_pipe.data.photos import load_photo
from irnet_pipe.deployment.outputs import SURE, InstanceOutput, Output, SemanticOutput
from irnet_pipe.deployment.photo_set import PhotoSet
from irnet_pipe.deployment.trained import TrainedSegmenter
from irnet_pipe.errors import InputError
from irnet_pipe.export.new_folder import NewFolder, new_folder
from irnet_pipe.runtime.memory import GIVE_BACK_EVERY, give_back_freed
from irnet_pipe.runtime.progress import Progress

PREDICTION = NewFolder(marker="predict.json", kind="prediction", option="--out")

Skipped = Mapping[str, str]
"""Name of a photo that could not be used → why."""


def predict(
    photos: PhotoSet,
    segmenters: Sequence[TrainedSegmenter],
    *,
    to: Path,
    device: torch.device,
    force: bool = False,
    overlays: bool = True,
    drawn_from: float = SURE,
) -> Skipped:
    """Predict masks, one photo in memory at a time.

    Args:
        photos: the photos; one that cannot be used is told of, and skipped.
        segmenters: all of them see each photo.
        to: the folder; it may be there and empty.
        device: to compute on.
        force: replace an earlier prediction.
        overlays: whether to draw what is found over the photos.
        drawn_from: score from which instances are drawn.

    Raises:
        InputError: the folder is taken, or the weights cannot be used.
    """
    with new_folder(to, PREDICTION, force=force) as folder:
        outputs: list[Output] = []
        for trained in segmenters:
            if trained.kind == "maskrcnn":
                score = drawn_from if overlays else None
                outputs.append(InstanceOutput(trained, folder, device=device, drawn_from=score))
            else:
                outputs.append(SemanticOutput(trained, folder, device=device, drawn=overlays))
        skipped = _over_photos(photos, outputs, max_pixels=segmenters[0].max_pixels)
        for output in outputs:
            output.finish()
        told = json.dumps(_facts(photos, segmenters, skipped), indent=1, ensure_ascii=False) + "\n"
        # a folder's name need not be UTF-8: JSON escapes what is not
        (folder / PREDICTION.marker).write_text(told, encoding="utf-8", errors="backslashreplace")
    return skipped


def _over_photos(photos: PhotoSet, outputs: Sequence[Output], *, max_pixels: int) -> Skipped:
    progress = Progress(total=len(photos.names), title="predict", unit="photos")
    skipped = {}
    for number, name in enumerate(progress.over(photos.names)):
        if number % GIVE_BACK_EVERY == 0:
            give_back_freed()
        path = photos.base / name
        try:
            photo = _open(path, max_pixels=max_pixels)
            found = [output.find(photo, path) for output in outputs]
        except (InputError, MemoryError) as error:
            skipped[name] = str(error) or "memory ran out"
            progress.say(f"skipped: {skipped[name]}")
            continue
        for output, of_photo in zip(outputs, found, strict=True):
            output.write(photo, of_photo, name=name, png=photos.output_name(name))
    return skipped


def _open(path: Path, *, max_pixels: int) -> NDArray[np.uint8]:
    photo = load_photo(path, max_pixels=max_pixels)
    height, width = photo.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise InputError(f"{path}: {height}×{width} pixels, sides must be {LEAST_SIDE} or more")
    return photo


def _facts(photos: PhotoSet, segmenters: Sequence[TrainedSegmenter], skipped: Skipped) -> dict[str, Any]:
    return {
        "photos_below": str(photos.base),
        "photos": len(photos.names) - len(skipped),
        "skipped": skipped,
        "segmenters": {
            trained.kind: {
                "weights": str(trained.weights.resolve()),
                "recipe": trained.recipe,
                "learnt_from": trained.learnt_from,
                "classes": trained.classes,
                "settings": trained.settings,
            }
            for trained in segmenters
        },
        "generated-by": f"irnet_pipe {__version__}",
    }
