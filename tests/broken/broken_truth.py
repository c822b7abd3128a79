"""Faults of lists of images and of ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from broken_labels import COCO
from fault import Fault, Project, configured, listed
from PIL import Image

CATEGORIES = [{"id": 1, "name": "box"}, {"id": 2, "name": "disk"}]


def truth(mode: str, size: tuple[int, int], value: Any) -> Callable[[Project], object]:
    """Label maps of all photos, of which that of a in SegmentationClass is changed."""

    def spoil(project: Project) -> None:
        for folder in ("SegmentationClass", "SegmentationObject"):
            (project.folder / "photos" / folder).mkdir()
            for name in "abcd":
                Image.new("L", (40, 30), 1).save(project.folder / "photos" / folder / f"{name}.png")
        Image.new(mode, size, value).save(project.folder / "photos/SegmentationClass/a.png")
        project.config({"dataset": {"evaluate": "all"}})

    return spoil


FAULTS = [
    Fault(
        "a list that is not there",
        configured(dataset={"train": "no.txt"}),
        "no.txt: cannot be read (No such file or directory); check the path",
    ),
    Fault(
        "an image that is listed, and not there",
        listed("train", "a\nb\nc\nd\ne\n"),
        "photos/list.txt:5: 'e' has no photo in photos/images; add it or delete the line",
    ),
    Fault(
        "an image that is listed twice",
        listed("train", "a\nb\nc\nd\na.png\n"),
        "photos/list.txt:5: 'a.png' is listed in line 1 already; delete one line",
    ),
    Fault(
        "an empty list of images to be labelled",
        listed("label", "# none yet\n"),
        "photos/list.txt: the list is empty; name one image_id a line",
    ),
    Fault(
        "an image that is scored and gets no masks",
        lambda project: (
            truth("L", (40, 30), 1)(project),
            project.write("photos/some.txt", "a\nb\n"),
            listed("evaluate", "b\nc\n", label="some.txt")(project),
        ),
        "list.txt: 'c' is evaluated, but not labelled; add it to dataset.label or delete the line",
    ),
    Fault(
        "no ground truth where scores are asked for",
        configured(dataset={"evaluate": "all"}),
        "photos: has no SegmentationClass and no SegmentationObject; set dataset.ground_truth to a COCO json or to the "
        "folder that holds both, or dataset.evaluate: none",
    ),
    Fault(
        "ground truth that is not there",
        configured(dataset={"evaluate": "all", "ground_truth": "masks"}),
        "photos/masks: no such file or folder; set dataset.ground_truth to where it lies, or dataset.evaluate: none",
    ),
    Fault(
        "an image without ground truth",
        lambda project: (
            truth("L", (40, 30), 1)(project),
            (project.folder / "photos/SegmentationObject/c.png").unlink(),
        ),
        "FOLDER/photos/SegmentationObject/c.png: no such file, but image 'c' is evaluated; add the ground "
        "truth, or take the image out of dataset.evaluate",
    ),
    Fault(
        "a category of the ground truth that is no class",
        lambda project: (
            project.write("photos/truth.json", json.dumps(COCO | {"categories": CATEGORIES})),
            project.config({"dataset": {"evaluate": "all", "ground_truth": "truth.json"}}),
        ),
        "photos/truth.json: category 'disk' is no class; write 'disc' if that is meant, or name it in "
        "dataset.classes, or "
        "drop its annotations",
    ),
    Fault(
        "a label map of another size",
        truth("L", (30, 40), 1),
        "FOLDER/photos/SegmentationClass/a.png: ground truth is 30×40 pixels, the displayed photo 40×30; "
        "scale one to the other",
    ),
    Fault(
        "a label map in colours",
        truth("RGB", (40, 30), (128, 0, 0)),
        "FOLDER/photos/SegmentationClass/a.png: no palette or 8-bit grey picture, which label maps have to "
        "be; save it as such a PNG",
    ),
    Fault(
        "a label of no class",
        truth("L", (40, 30), 3),
        "FOLDER/photos/SegmentationClass/a.png: label 3, but there are 2 classes, so that 0…2 and 255 are "
        "allowed; name all classes in dataset.classes, in the order of the labels",
    ),
]
