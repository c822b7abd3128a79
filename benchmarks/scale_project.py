"""A project of any size for benchmarks/scale.py: tiny photos, and stand-ins for what the stages would make of them.

Photos are hard links to a few, each under a name of its own; half of them train. Masks are artifacts as export_masks
writes them, with boxes in place of objects; all other artifacts are empty files, which is all that the plan, snakemake
and `status` look at.

    python benchmarks/scale_project.py photos FOLDER --images 1000 --shards 64
    python benchmarks/scale_project.py artifacts FOLDER
"""

import argparse
import os
from io import BytesIO
from pathlib import Path

CLASSES = 20
SIZE = (48, 64)
KINDS = 16
"""Different photos."""
PER_FOLDER = 1000
CONFIG = """\
run: scale
shards: {{n: {shards}}}
dataset: {{root: photos, labels: labels.csv, train: train.txt, label: all}}
"""


def write_photos(folder: Path, *, images: int, shards: int) -> None:
    """Write photos, labels, the list of training images, and a config."""
    root = folder / "photos"
    kinds = [folder / f"{kind}.png" for kind in range(KINDS)]
    root.mkdir(parents=True)
    for kind, path in enumerate(kinds):
        path.write_bytes(_photo(kind))
    ids = [f"{number // PER_FOLDER:03d}/{number:06d}" for number in range(images)]
    for number, image_id in enumerate(ids):
        path = root / "images" / f"{image_id}.png"
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.hardlink_to(kinds[number % KINDS])
    rows = [_row(image_id, number) for number, image_id in enumerate(ids)]
    (root / "labels.csv").write_text("".join(["image,labels\n", *rows]))
    (root / "train.txt").write_text("".join(f"{image_id}\n" for image_id in ids[::2]))
    (folder / "scale.yaml").write_text(CONFIG.format(shards=shards))


def append_photo(folder: Path) -> None:
    """Add one image that is to be labelled, and does not train."""
    root = folder / "photos"
    (root / "images" / "appended.png").write_bytes(_photo(0))
    with (root / "labels.csv").open("a") as labels:
        labels.write(_row("appended", 0))


def write_artifacts() -> None:
    """Write what the stages of the project in the current folder would make, but for the gathered masks."""
    from irnet_pipe.config import load_config
    from irnet_pipe.workflow import plan_for

    run = plan_for(load_config(Path("scale.yaml")))
    for artifact in run.plan.artifacts:
        path = run.results / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if artifact.stage == "export_masks":
            _write_masks(path, artifact.record, run.results)
        elif artifact.stage == "publish":
            folder = Path(run.config.runtime.outputs, run.config.run)
            folder.mkdir(parents=True)
            for name in ("masks.json", f"recipe-{artifact.recipe}.json"):
                (folder / name).touch()
        elif artifact.stage != "gather_masks":
            path.touch()


def _photo(kind: int) -> bytes:
    from PIL import Image

    height, width = SIZE
    noise = bytes((7 * i * i + 13 * i * kind) % 251 for i in range(height * width * 3))
    stream = BytesIO()
    Image.frombytes("RGB", (width, height), noise).save(stream, "PNG")
    return stream.getvalue()


def _row(image_id: str, number: int) -> str:
    pair = number // 2  # one of which trains
    names = sorted({f"class {pair % CLASSES}", f"class {7 * pair % CLASSES}"})
    return f"{image_id},{';'.join(names)}\n"


def _write_masks(path: Path, record, results: Path) -> None:
    import numpy as np

    from irnet_pipe.artifacts.arrays import pack_runs
    from irnet_pipe.artifacts.io import ImageSize, write_artifact
    from irnet_pipe.data.image_list import read_list
    from irnet_pipe.numerics.run_lengths import encode_rle

    height, width = SIZE
    box = np.ones((height // 2, width // 4), dtype=bool)
    runs = [encode_rle(box, top=height // 4, left=left, size=SIZE) for left in (4, width // 2)]
    (images,) = (read_list(results / path) for path in record.images)
    with write_artifact(path, record) as writer:
        for entry in images:
            class_id = np.asarray(entry.labels, dtype=np.int32)
            masks = runs[: len(class_id)]
            arrays = pack_runs("semantic", masks) | pack_runs("instance", masks)
            arrays |= {"class_id": class_id, "instance_class": class_id}
            arrays["instance_score"] = np.full(len(class_id), 0.5, dtype=np.float32)
            writer.add(entry.image_id, ImageSize(*SIZE, *SIZE), arrays)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["photos", "artifacts", "append"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--shards", type=int, default=64)
    options = parser.parse_args()
    if options.what == "photos":
        write_photos(options.folder, images=options.images, shards=options.shards)
    elif options.what == "append":
        append_photo(options.folder)
    else:
        os.chdir(options.folder)
        write_artifacts()


if __name__ == "__main__":
    main()
