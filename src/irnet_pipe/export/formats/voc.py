"""PASCAL VOC: SegmentationObject/, SegmentationClass/, Annotations/, ImageSets/, JPEGImages/.

The i-th object of an XML file is label i of SegmentationObject, as in VOC. SegmentationClass is painted from the same
instances, so that both agree in every pixel; the semantic masks of a run stay where they were published.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from irnet_pipe.errors import InputError
from irnet_pipe.export.coco import CocoInstance, rle_bounding_box
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset, write_new
from irnet_pipe.export.published import Photo
from irnet_pipe.export.voc import MAX_LABELS, encode_png
from irnet_pipe.numerics.run_lengths import rle_area

LISTS = ("Segmentation", "Main")


def write(dataset: Dataset, folder: Path) -> None:
    """Write the data set.

    Raises:
        InputError: more classes, or more instances in an image, than a palette PNG holds.
    """
    if len(dataset.classes) > MAX_LABELS:
        raise InputError(f"{len(dataset.classes)} classes, {_bound()}")
    names = ["trainval"] if len(dataset.splits) == 1 else ["trainval", *dataset.splits]
    with ExitStack() as stack:
        lists = {}
        for kind in LISTS:
            (folder / "ImageSets" / kind).mkdir(parents=True)
            for name in names:
                path = folder / "ImageSets" / kind / f"{name}.txt"
                lists[kind, name] = stack.enter_context(path.open("w", encoding="utf-8"))
        for photo in dataset.photos():
            _write_photo(dataset, folder, photo)
            for (_, name), stream in lists.items():
                if name in ("trainval", dataset.split_of(photo)):
                    stream.write(photo.name + "\n")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in dataset.classes), encoding="utf-8")


def _bound() -> str:
    return f"a palette PNG holds {MAX_LABELS} at most; choose another format, such as coco or png"


def _write_photo(dataset: Dataset, folder: Path, photo: Photo) -> None:
    if len(photo.instances) > MAX_LABELS:
        raise InputError(f"{photo.file_name}: {len(photo.instances)} instances, {_bound()}")
    objects = np.zeros((photo.height, photo.width), np.uint8)
    classes = objects.copy()
    # the larger ones first, so that the smaller ones end on top
    order = sorted(range(len(photo.instances)), key=lambda i: -rle_area(photo.instances[i].counts))
    for i in order:
        crop = crop_instance(photo.instances[i], height=photo.height)
        crop.paint(objects, i + 1)
        crop.paint(classes, photo.instances[i].class_id + 1)
    name = f"{photo.name}.png"
    write_new(folder / "SegmentationObject" / name, encode_png(objects), photo=photo)
    write_new(folder / "SegmentationClass" / name, encode_png(classes), photo=photo)
    write_new(folder / "Annotations" / f"{photo.name}.xml", _xml(photo, dataset.classes), photo=photo)
    dataset.place(photo, folder / "JPEGImages" / photo.file_name)


def _xml(photo: Photo, classes: list[str]) -> str:
    objects = "".join(_object(instance, photo, classes[instance.class_id]) for instance in photo.instances)
    return (
        f"<annotation>\n<folder>VOC2012</folder>\n<filename>{escape(photo.file_name)}</filename>\n"
        f"<size><width>{photo.width}</width><height>{photo.height}</height><depth>3</depth></size>\n"
        f"<segmented>1</segmented>\n{objects}</annotation>\n"
    )


def _object(instance: CocoInstance, photo: Photo, name: str) -> str:
    left, top, width, height = rle_bounding_box(instance.counts, height=photo.height)
    # pixels count from 1, and the last one is in the box
    return (
        f"<object><name>{escape(name)}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><score>{instance.score:.6g}</score>"
        f"<bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
        f"<xmax>{left + width}</xmax><ymax>{top + height}</ymax></bndbox></object>\n"
    )
