"""Draws docs/images/method.png from what `make demo` left in results: what each step makes of one photo.

.venv/bin/python docs/images/make_method_picture.py
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from irnet_pipe.artifact_files import artifact_files
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import read_boundary, read_displacement
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.masks import read_instances
from irnet_pipe.artifacts.propagation import read_class_scores
from irnet_pipe.data.photos import load_photo
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.recipes import read_record, record_path
from irnet_pipe.report import figures

PHOTOS, RESULTS = Path("demo/data/JPEGImages"), Path("results")
TARGET = Path(__file__).with_name("method.png")
COLUMNS, TILE, GAP, CAPTION = 4, 200, 10, 22


def shards(stage: str, kind: str, variant: str | None = None) -> ShardSet:
    """All shards of a stage."""
    records = [read_record(record_path(RESULTS, file.recipe)) for file in artifact_files(RESULTS, stage)]
    paths = [RESULTS / record.path for record in records if record.spec.get("variant") == variant]
    return ShardSet(paths, kind=kind)


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """Caption and picture of each step."""
    masks = shards("export_masks", "masks", "full")
    cams, relations = shards("infer_cam", "cam"), shards("mine_relations", "relations")
    # The first photo with three instances of two classes: nothing is chosen by how good it looks.
    image_id = next(
        name
        for name in masks.image_ids
        if len(read_instances(masks, name).without_fragments().runs) >= 3
        and len(cams.read(name, "class_id")) >= 2
    )
    photo = load_photo(PHOTOS / f"{image_id}.jpg")
    size = photo.shape[:2]
    _, maps = read_class_maps(cams, image_id)
    label, class_id = relations.read(image_id, "label"), relations.read(image_id, "class_id")
    irnet = shards("infer_irnet", "irnet_maps")
    calibration = artifact_files(RESULTS, "calibrate_displacement")[0].path
    mean = np.float32(read_json(calibration, kind="calibration")["mean_displacement"])[:, None, None]
    instance_map = shards("refine_displacement", "instances").read(image_id, "instance_map")
    _, score = read_class_scores(shards("propagate", "propagation"), image_id)
    found = read_instances(masks, image_id).without_fragments()
    stack = figures.decode_at(found.runs, size=size, shown=size)
    yield "photo", figures.draw_photo(photo)
    yield (
        "2 class activation maps",
        figures.draw_cam(photo, highres_cam([torch.from_numpy(map_) for map_ in maps], size=size).numpy()),
    )
    yield "3 confident labels", figures.draw_labels(label, local_labels=[int(i) + 1 for i in class_id])
    yield "4 boundary map", figures.draw_boundary(read_boundary(irnet, image_id))
    yield "4 displacement field", figures.draw_displacement(read_displacement(irnet, image_id) - mean)
    yield "5 instance map", figures.draw_instance_map(instance_map)
    yield "6 walked scores", figures.draw_cam(photo, score / score.max())
    yield "7 instance masks", figures.draw_instances(photo, stack)


def main() -> None:
    """Draw the picture."""
    tiles = list(pictures())
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (TILE + GAP) - GAP, rows * (TILE + CAPTION + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (caption, tile) in enumerate(tiles):
        left, top = number % COLUMNS * (TILE + GAP), number // COLUMNS * (TILE + CAPTION + GAP)
        draw.text((left, top), caption, fill="black", font=font)
        sheet.paste(tile.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top + CAPTION))
    sheet.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
