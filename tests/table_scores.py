"""Tables of the tiny run, with scores made up in place of those of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affinitynet_run import AFFINITYNET
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.plan import Artifact
from irnet_pipe.recipes import Record
from irnet_pipe.workflow import PlannedRun, prepare_tables

UNSEEN = ("100% sure", "label only", "sub dir/ä")


def with_tables(tiny: dict[str, Any], folder: Path, **keys: object) -> dict[str, Any]:
    """Values of a run that asks for tables of seed 0, segmenters scored on images that no training sees."""
    unseen = folder / "unseen.txt"
    unseen.write_text("\n".join([*UNSEEN, ""]), encoding="utf-8")
    tables = {"seeds": [0], "segmenter_images": str(unseen), **keys}
    small = {
        name: {"backbone": "resnet18", "weights": "cam", "train": {"batch": 2}}
        for name in ("maskrcnn", "deeplab")
    }
    return merge(tiny, {"tables": tables, "affinitynet": AFFINITYNET, **small})


class TablesRun:
    """The planned tables of a config, whose scores are written by hand."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.run: PlannedRun = prepare_tables(parse_config(values))
        self.results = self.run.results
        (target,) = self.run.plan.targets
        self.publication: Record = target.record

    def scores(self, row: str, seed: int = 0) -> Artifact:
        """The artifact of a row's scores."""
        recipe = self.publication.spec["cells"][row][str(seed)]
        return next(artifact for artifact in self.run.plan.artifacts if artifact.recipe == recipe)

    def score(self, row: str, seed: int = 0, **figures: float) -> Path:
        """Write the scores of a row: figure → share of 1; returns their path."""
        record = self.scores(row, seed).record
        held = {name: {"mean": value, "classes": {"box": value}} for name, value in figures.items()}
        semantic = {"semantic": held.pop("mIoU")} if "mIoU" in held else {}
        content = {
            "variant": record.spec.get("variant", "raw CAM"),
            "images": 7,
            "images_with_predicted_classes": 0,
            "figures": semantic | ({"instance": held} if held else {}),
        }
        write_json(self.results / record.path, record, content)
        return self.results / record.path
