"""What becomes of a segmenter's masks and weights: gathered, scored, shown, published, loaded by torchvision alone."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from segmenter_run import with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.evaluation.ground_truth import open_truth
from irnet_pipe.export.published import open_published
from irnet_pipe.export.torchvision_weights import export_weights
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.models.trained import load_mask_rcnn
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.publish import publish
from irnet_pipe.recipes import record_path

CLASSES = ["box", "disc"]
NAME = "maskrcnn_truth"


def write_mask_rcnn(path: Path, *, backbone: str) -> Path:
    """Weights of a network that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = MaskRcnn(backbone, 2).network.state_dict()
    header = {
        "kind": "maskrcnn",
        "backbone": backbone,
        "classes": CLASSES,
        "learnt-from": "truth",
        "recipe": "0123456789abcdef",
    }
    write_weights(path, header=header, state_dict=state, history={"step": [1, 2], "loss": [2.0, 1.5]})
    return path


class TruthfulPipeline(Pipeline):
    """Segmenters learnt from ground truth so well that they predict it, with a score of one half."""

    def make(self, artifact):
        path = self.results / artifact.path
        if artifact.stage.startswith("infer_maskrcnn") and not path.exists():
            self.predict_truth(self.job(artifact))
        return super().make(artifact)

    def predict_truth(self, job) -> None:
        evaluated = self.job(self.plan.of("evaluate_masks")[0])
        truth = open_truth(evaluated.truth, root=job.root, class_names=CLASSES)
        with write_artifact(job.output, job.record) as writer:
            for entry in job.images:
                size = (entry.height, entry.width)
                true = truth.instances(entry.image_id, size=size)
                runs = [encode_rle(mask) for mask in true["masks"]]
                arrays = pack_instances(runs, true["class_id"].tolist(), [0.5] * len(runs))
                writer.add(entry.image_id, ImageSize(*size, *size), arrays)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    folder = tmp_path_factory.mktemp("results of segmenters")
    values = with_segmenters(
        make_tiny_values(photo_set, folder), maskrcnn__train__source="truth", export__variants=["cam"]
    )
    weights = write_mask_rcnn(folder / "maskrcnn.pth", backbone="resnet18")
    return TruthfulPipeline(values, {"train_cam": trained.cam, "train_maskrcnn": weights})


@pytest.fixture(scope="module")
def published(pipeline, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("outputs") / "run"
    (target,) = pipeline.plan.targets
    for parent in target.parents:
        pipeline.make(parent)
    publish(record_path(pipeline.results, target.recipe), output)
    return output


def test_scores_stand_beside_those_of_the_variants(pipeline):
    scores = read_json(pipeline.make(pipeline.artifact("evaluate_masks")), kind="scores")
    assert list(scores["variants"]) == ["cam", NAME]
    assert set(scores["variants"]["cam"]) == {"semantic", "instance"}
    result = scores["variants"][NAME]
    assert set(result) == {"instance", "learnt_from"} and result["learnt_from"] == "truth"
    assert {figure["mean"] for figure in result["instance"].values()} == {1}


def test_published_figures_announce_the_upper_bound(published):
    rows = list(csv.DictReader((published / "scores.csv").read_text(encoding="utf-8").splitlines()))
    of_segmenter = {
        row["figure"]: row["percent"] for row in rows if (row["variant"], row["class"]) == (NAME, "mean")
    }
    assert of_segmenter == {"AP25": "100.0", "AP50": "100.0", "AP70": "100.0", "AP75": "100.0"}
    told = f"{NAME} learnt from ground truth: an upper bound, not a result of image-level labels"
    assert told in (published / "summary.txt").read_text(encoding="utf-8")
    page = (published / "report.html").read_text(encoding="utf-8")
    assert told in page and f"instances, {NAME}, score ≥ 0.5" in page and "Mask R-CNN: loss" in page


def test_masks_are_published_as_a_variant(pipeline, published):
    assert open_published(published).variant == "cam"
    found = open_published(published, variant=NAME)
    assert found.variant == NAME and list(found.classes) == CLASSES
    content = json.loads((published / "variants" / NAME / "masks.json").read_text(encoding="utf-8"))
    assert "a network that learnt from ground truth (upper bound)" in content["info"]["description"]
    assert {annotation["score"] for annotation in content["annotations"]} == {0.5}
    names = {path.name for path in (published / "variants" / NAME).iterdir()}
    assert names == {"masks.json", "counts.json"}


def test_weights_are_published_and_taken_back_by_the_next_run(pipeline, published, tmp_path):
    state = torch.load(published / "maskrcnn.pth", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    facts = json.loads((published / "maskrcnn.json").read_text(encoding="utf-8"))
    assert facts == {
        "builder": None,  # torchvision builds it on ResNet-50 alone
        "backbone": "resnet18",
        "num_classes": 3,
        "classes": ["background", *CLASSES],
        "learnt_from": "truth",
        "recipe": "0123456789abcdef",
    }
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    (target,) = pipeline.plan.targets
    record = dataclasses.replace(
        target.record, parents=tuple(p for p in target.record.parents if p.stage != "train_maskrcnn")
    )
    (pipeline.results / "recipes" / "without.json").write_text(
        json.dumps(dataclasses.asdict(record)), encoding="utf-8"
    )
    publish(pipeline.results / "recipes" / "without.json", copy)
    assert not list(copy.glob("maskrcnn.*"))


def test_counts_of_gathered_instances(pipeline):
    path = pipeline.make(pipeline.artifact("gather_masks", NAME))
    with tarfile.open(path) as tar:
        counts = json.load(tar.extractfile("counts.json"))
    assert counts["instances"] == sum(counts["instances_per_class"].values()) > 0
    assert counts["images"] == len(pipeline.index.label)


ALONE = """
import json, sys
sys.modules["irnet_pipe"] = None  # not to be imported
import torch, torchvision
facts = json.load(open("maskrcnn.json"))
build = getattr(torchvision.models.detection, facts["builder"].rsplit(".", 1)[1])
model = build(num_classes=facts["num_classes"], weights=None, weights_backbone=None, min_size=64, max_size=64)
print(model.load_state_dict(torch.load("maskrcnn.pth", weights_only=True)))
photo = torch.load("photo.pth").float() / 255
with torch.inference_mode():
    (found,) = model.eval()([photo])
torch.save({name: found[name] for name in ("boxes", "scores", "labels")}, "found.pth")
"""


@pytest.mark.slow
def test_torchvision_alone_loads_the_weights_and_sees_the_same(tmp_path, rng):
    source = write_mask_rcnn(tmp_path / "source.pth", backbone="resnet50")
    export_weights(source, tmp_path, kind="maskrcnn")
    photo = torch.from_numpy(rng.integers(0, 256, (3, 64, 64), dtype=np.uint8))
    torch.save(photo, tmp_path / "photo.pth")
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "All keys matched successfully" in done.stdout
    found = torch.load(tmp_path / "found.pth", weights_only=True)
    ours = load_mask_rcnn(source).detect(photo)
    assert len(ours.score) > 0
    torch.testing.assert_close(ours.box, found["boxes"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours.score, found["scores"], rtol=1e-4, atol=1e-5)
    assert (ours.class_id + 1).tolist() == found["labels"].tolist()
