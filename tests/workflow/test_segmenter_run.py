"""A tiny run by snakemake in which segmenters learn from pseudo masks of training images that nobody wants labelled."""

from __future__ import annotations

import json
from collections import Counter

import pytest

pytestmark = pytest.mark.slow

TRAIN = {"iterations": 1, "batch": 2, "freeze": "none", "batch_norm": "batch", "threads": 1}
SEGMENTERS = {
    "segmenters": ["maskrcnn", "deeplab"],
    "maskrcnn": {
        "backbone": "resnet18",
        "weights": "cam",
        "train": {**TRAIN, "short_side": [32, 48], "max_side": 64, "regions": 16, "warm_up": 0},
        "infer": {"short_side": 48, "max_side": 64},
    },
    "deeplab": {
        "backbone": "resnet18",
        "weights": "cam",
        "train": {**TRAIN, "crop": 48},
        "infer": {"scales": [1], "crf": {"iterations": 2}},
    },
}


def test_from_photos_to_published_segmenters(project):
    project.values |= SEGMENTERS
    project.values["shards"]["n"] = 1
    project.values["export"]["variants"] = ["cam"]
    (project.photos / "label.txt").write_text("label only\nbeta\n", encoding="utf-8")
    project.values["dataset"] |= {"label": "label.txt", "evaluate": "all"}
    assert project.run() == Counter(
        train_cam=1,
        infer_cam=2,
        mine_relations=1,
        train_irnet=1,
        infer_irnet=1,
        calibrate_displacement=1,
        refine_displacement=1,
        propagate=1,
        export_masks=1 + 2,
        train_maskrcnn=1,
        infer_maskrcnn=2,
        train_deeplab=1,
        infer_deeplab=2,
        draw_thumbnails=2,
        gather_masks=3,
        evaluate_cam=1,
        evaluate_masks=3,
        report=1,
        publish=1,
    )
    output = project.folder / "outputs" / "tiny"
    scores = json.loads((output / "scores.json").read_text(encoding="utf-8"))
    assert scores["images"] == 2 and list(scores["variants"]) == [
        "raw CAM",
        "cam",
        "maskrcnn_full",
        "deeplab_full",
    ]
    assert {path.name for path in output.glob("*.pth")} == {"maskrcnn.pth", "deeplab.pth"}
    assert (output / "variants" / "maskrcnn_full" / "masks.json").is_file()
    assert (output / "variants" / "deeplab_full" / "SegmentationClass" / "beta.png").is_file()
    assert project.run() == Counter()
    del project.values["segmenters"]
    assert project.run() == Counter(report=1, publish=1)
    assert not list(output.glob("*.pth"))
