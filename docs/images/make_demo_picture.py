"""Draws docs/images/demo.png from what `make demo` published: photos, and their pseudo instance masks below.

.venv/bin/python docs/images/make_demo_picture.py
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from irnet_pipe.data.photos import load_photo
from irnet_pipe.numerics.run_lengths import decode_rle, decompress_rle
from irnet_pipe.report.figures import draw_instances

PHOTOS = Path("demo/data")
MASKS = Path("outputs/demo/masks.json")
TARGET = Path(__file__).with_name("demo.png")
COLUMNS, TILE, GAP = 6, 180, 8


def main() -> None:
    """Draw the picture."""
    coco = json.loads(MASKS.read_text(encoding="utf-8"))
    masks: dict[int, list[np.ndarray]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        segmentation = annotation["segmentation"]
        counts = decompress_rle(segmentation["counts"])
        masks[annotation["image_id"]].append(decode_rle(counts, size=tuple(segmentation["size"])))
    # The first photos with several instances, in the order of the file: nothing is chosen by how good it looks.
    shown = [image for image in coco["images"] if len(masks[image["id"]]) >= 3][:COLUMNS]
    picture = Image.new("RGB", (COLUMNS * (TILE + GAP) - GAP, 2 * TILE + GAP), "white")
    for column, image in enumerate(shown):
        photo = load_photo(PHOTOS / image["file_name"])
        output = draw_instances(photo, np.array(masks[image["id"]]))
        for row, tile in enumerate((Image.fromarray(photo), output)):
            picture.paste(
                tile.resize((TILE, TILE), Image.Resampling.LANCZOS),
                (column * (TILE + GAP), row * (TILE + GAP)),
            )
    picture.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
