"""Bytes per photo of what a run has stored: `python -m benchmarks.storage RESULTS`.

Artifacts of shards and the gathered masks count, file overhead included: give the results of one run.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from irnet_pipe.data.image_list import read_list
from irnet_pipe.recipes import RECIPES, read_record
from irnet_pipe.stage_table import STAGES

PHOTOS = 10_000
"""What the bytes of a photo are scaled to."""


def bytes_per_photo(results: Path) -> dict[str, tuple[int, float]]:
    """Name of a stage (and variant) whose artifacts grow with the photos → photos, bytes of each."""
    photos: dict[str, int] = defaultdict(int)
    stored: dict[str, int] = defaultdict(int)
    for path in sorted((results / RECIPES).glob("*.json")):
        record = read_record(path)
        artifact = results / record.path
        grows = record.unit != "all" or record.stage == "gather_masks"
        if not grows or not artifact.is_file():
            continue
        name = " ".join(filter(None, (record.stage, record.spec.get("variant"))))
        photos[name] += sum(len(read_list(results / images)) for images in record.images)
        stored[name] += artifact.stat().st_size
    order = list(STAGES)
    names = sorted((name for name in photos if photos[name]), key=lambda name: order.index(name.split()[0]))
    return {name: (photos[name], stored[name] / photos[name]) for name in names}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the artifacts")
    found = bytes_per_photo(parser.parse_args().results)
    print(f"| stage | photos | bytes a photo | MB of {PHOTOS:,} photos |\n|---|---|---|---|")
    for name, (photos, size) in found.items():
        print(f"| {name} | {photos} | {size:,.0f} | {size * PHOTOS / 1e6:,.0f} |")
    total = sum(size for _, size in found.values())
    print(f"| all | | {total:,.0f} | {total * PHOTOS / 1e6:,.0f} |")


if __name__ == "__main__":
    main()
