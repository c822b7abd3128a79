"""CVAT for images 1.1: a zip with annotations.xml, and labels.json to be pasted into the task's raw labels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from irnet_pipe.export.coco import CocoInstance
from irnet_pipe.export.crops import crop_instance
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.export.placing import COPY
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.run_lengths import encode_rle

SCORE = {"name": "score", "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
"""The attribute that holds the score: text, since a number would need bounds and a step."""


def write(dataset: Dataset, folder: Path) -> None:
    """Write masks.zip, or train.zip and val.zip, and labels.json."""
    for split in dataset.splits:
        name = "masks.zip" if len(dataset.splits) == 1 else f"{split}.zip"
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("annotations.xml", "w", force_zip64=True) as stream:
                for text in _xml(dataset, split):
                    stream.write(text.encode())
            if dataset.placing == COPY:
                for image in dataset.images(split):
                    archive.write(dataset.source(image), f"images/{image.file_name}", zipfile.ZIP_STORED)
    labels = [{"name": name, "attributes": [SCORE]} for name in dataset.classes]
    (folder / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _xml(dataset: Dataset, split: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    yield f"<meta><task><labels>{''.join(map(_label, dataset.classes))}</labels></task></meta>\n"
    for number, photo in enumerate(dataset.photos(split)):
        name = quoteattr(photo.file_name)
        yield f'<image id="{number}" name={name} width="{photo.width}" height="{photo.height}">\n'
        for instance in photo.instances:
            yield _mask(instance, photo, dataset.classes[instance.class_id])
        yield "</image>\n"
    yield "</annotations>\n"


def _label(name: str) -> str:
    return (
        f"<label><name>{escape(name)}</name><attributes><attribute><name>score</name><mutable>False</mutable>"
        "<input_type>text</input_type><default_value></default_value><values></values></attribute></attributes>"
        "</label>"
    )


def _mask(instance: CocoInstance, photo: Photo, name: str) -> str:
    crop = crop_instance(instance, height=photo.height)
    # row by row within the box, the first run of background
    runs = ", ".join(map(str, encode_rle(crop.mask.T).tolist()))
    return (
        f'<mask label={quoteattr(name)} source="auto" occluded="0" rle="{runs}" left="{crop.left}" '
        f'top="{crop.top}" width="{crop.width}" height="{crop.height}" z_order="0">'
        f'<attribute name="score">{instance.score:.6g}</attribute></mask>\n'
    )
