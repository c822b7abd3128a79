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
from PIL import Image
from segmenter_run import with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.headers import read_header
from irnet_pipe.artifacts.integrity import check_artifact
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.config import config_value
from irnet_pipe.data.photos import normalise
from irnet_pipe.deployment.trained import find_segmenters
from irnet_pipe.evaluation.ground_truth import open_truth
from irnet_pipe.export.published import open_published
from irnet_pipe.export.torchvision_weights import export_weights
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.models.trained_segmenters import load_deeplab, load_mask_rcnn
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.publish import publish
from irnet_pipe.recipes import record_path

CLASSES = ["box", "disc"]
NETWORKS = {"maskrcnn": MaskRcnn, "deeplab": DeepLab}
INFERENCE = {
    "maskrcnn": ["maskrcnn.infer"],
    "deeplab": ["deeplab.infer", "dataset.working_long_side"],
}
"""Settings that the inference of each depends on."""


def write_network(path: Path, kind: str, *, backbone: str) -> Path:
    """Weights of a network that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = NETWORKS[kind](backbone, 2).network.state_dict()
    facts = {"kind": kind, "backbone": backbone, "classes": CLASSES, "learnt-from": "truth"}
    header = facts | {"recipe": "0123456789abcdef"}
    write_weights(path, header=header, state_dict=state, history={"step": [1, 2], "loss": [2.0, 1.5]})
    return path


class TruthfulPipeline(Pipeline):
    """Segmenters learnt from ground truth so well that they predict it, with a score of one half."""

    def make(self, artifact):
        if artifact.stage in ("infer_maskrcnn", "infer_deeplab"):
            self.predict_truth(self.job(artifact))
        return super().make(artifact)

    def predict_truth(self, job) -> None:
        evaluated = self.job(self.plan.of("evaluate_cam")[0])
        truth = open_truth(evaluated.truth, root=job.root, class_names=CLASSES)
        with write_artifact(job.output, job.record) as writer:
            for entry in job.images:
                size = (entry.height, entry.width)
                true, label = (
                    truth.masks(entry.image_id, size=size),
                    truth.label_map(entry.image_id, size=size),
                )
                arrays = {
                    "infer_maskrcnn": pack_instances(
                        true.runs, true.class_id.tolist(), [0.5] * len(true.runs)
                    ),
                    "infer_deeplab": {"class_id": np.array([0, 1], dtype=np.int32)}
                    | pack_runs("semantic", [encode_rle(label == number) for number in (1, 2)]),
                }[job.record.stage]
                writer.add(entry.image_id, ImageSize(*size, *size), arrays)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    folder = tmp_path_factory.mktemp("results of segmenters")
    sources = {f"{kind}__train__source": "truth" for kind in NETWORKS}
    values = with_segmenters(make_tiny_values(photo_set, folder), export__variants=["cam"], **sources)
    weights = {
        f"train_{kind}": write_network(folder / f"{kind}.pth", kind, backbone="resnet18") for kind in NETWORKS
    }
    return TruthfulPipeline(values, {"train_cam": trained.cam, **weights})


@pytest.fixture(scope="module")
def published(pipeline, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("outputs") / "run"
    (target,) = pipeline.plan.targets
    for parent in target.parents:
        pipeline.make(parent)
    publish(record_path(pipeline.results, target.recipe), output)
    return output


def test_scores_stand_beside_those_of_the_variants(pipeline):
    scored = [read_json(pipeline.make(a), kind="scores") for a in pipeline.plan.of("evaluate_masks")]
    scores = {part["variant"]: part["figures"] for part in scored}
    assert list(scores) == ["cam", "maskrcnn_truth", "deeplab_truth"]
    assert set(scores["cam"]) == {"semantic", "instance"}
    instances, classes = (scores[f"{kind}_truth"] for kind in NETWORKS)
    assert set(instances) == {"instance", "learnt_from"} and set(classes) == {"semantic", "learnt_from"}
    assert instances["learnt_from"] == classes["learnt_from"] == "truth"
    assert {figure["mean"] for figure in instances["instance"].values()} == {1}
    assert classes["semantic"]["mean"] == 1


def test_published_figures_announce_the_upper_bound(published):
    rows = list(csv.DictReader((published / "scores.csv").read_text(encoding="utf-8").splitlines()))
    means = {(row["variant"], row["figure"]): row["percent"] for row in rows if row["class"] == "mean"}
    of_segmenters = {key: value for key, value in means.items() if key[0].endswith("_truth")}
    figures = {("maskrcnn_truth", f"AP{iou}") for iou in (25, 50, 70, 75)} | {("deeplab_truth", "mIoU")}
    assert of_segmenters == dict.fromkeys(figures, "100.0")
    summary = (published / "summary.txt").read_text(encoding="utf-8")
    page = (published / "report.html").read_text(encoding="utf-8")
    for kind in NETWORKS:
        told = f"{kind}_truth learnt from ground truth: an upper bound, not a result of image-level labels"
        assert told in summary and told in page
    assert "instances, maskrcnn_truth, score ≥ 0.5" in page and "semantic mask, deeplab_truth" in page
    assert "Mask R-CNN: loss" in page and "DeepLab: loss" in page


def test_masks_are_published_as_variants(published):
    assert open_published(published).variant == "cam"
    found = open_published(published, variant="maskrcnn_truth")
    assert found.variant == "maskrcnn_truth" and list(found.classes) == CLASSES
    folders = {kind: published / "variants" / f"{kind}_truth" for kind in NETWORKS}
    content = json.loads((folders["maskrcnn"] / "masks.json").read_text(encoding="utf-8"))
    told = "masks predicted by a network that learnt from ground truth (upper bound)"
    assert content["info"]["description"].startswith(told)
    assert {annotation["score"] for annotation in content["annotations"]} == {0.5}
    assert {path.name for path in folders["maskrcnn"].iterdir()} == {"masks.json", "counts.json"}
    assert {path.name for path in folders["deeplab"].iterdir()} == {"SegmentationClass", "counts.json"}
    counts = json.loads((folders["deeplab"] / "counts.json").read_text(encoding="utf-8"))
    assert counts["description"].startswith(told) and counts["images_per_class"] == {"box": 8, "disc": 8}
    label = np.array(Image.open(folders["deeplab"] / "SegmentationClass" / "beta.png"))
    assert label.shape == (48, 64) and set(np.unique(label)) == {0, 1, 2}


def test_gathered_files_are_whole_and_state_their_recipe(pipeline):
    for kind in NETWORKS:
        artifact = pipeline.artifact("gather_masks", f"{kind}_truth")
        path = pipeline.make(artifact)
        check_artifact(path, stage="gather_masks")
        assert read_header(path)["recipe"] == artifact.recipe
        with tarfile.open(path) as tar:
            assert tar.getnames()[0] == "counts.json"


def test_weights_are_published_and_taken_back_by_the_next_run(pipeline, published, tmp_path):
    for kind, settings in INFERENCE.items():
        state = torch.load(published / f"{kind}.pth", weights_only=True)
        assert all(isinstance(value, torch.Tensor) for value in state.values())
        assert json.loads((published / f"{kind}.json").read_text(encoding="utf-8")) == {
            "kind": kind,
            "builder": None,  # torchvision has none for ResNet-18
            "backbone": "resnet18",
            "num_classes": 3,
            "classes": ["background", *CLASSES],
            "learnt_from": "truth",
            "recipe": "0123456789abcdef",
            "inference": {key: config_value(pipeline.config, key) for key in settings},
        }
    found = {trained.kind: trained for trained in find_segmenters(published)}
    for kind, settings in INFERENCE.items():
        assert found[kind].settings == {key: config_value(pipeline.config, key) for key in settings}
        assert found[kind].classes == CLASSES
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    (target,) = pipeline.plan.targets
    others = tuple(parent for parent in target.record.parents if not parent.stage.startswith("train_"))
    record = dataclasses.asdict(dataclasses.replace(target.record, parents=others))
    recipe = pipeline.results / "recipes" / "without.json"
    recipe.write_text(json.dumps(record), encoding="utf-8")
    publish(recipe, copy)
    assert not list(copy.glob("maskrcnn.*")) and not list(copy.glob("deeplab.*"))


ALONE = """
import importlib, json, sys
sys.modules["irnet_pipe"] = None  # not to be imported
import torch
facts = json.load(open(sys.argv[1] + ".json"))
module, name = facts["builder"].rsplit(".", 1)
build = getattr(importlib.import_module(module), name)
model = build(num_classes=facts["num_classes"], weights=None, weights_backbone=None, **json.loads(sys.argv[2]))
print(model.load_state_dict(torch.load(sys.argv[1] + ".pth", weights_only=True)))
with torch.inference_mode():
    found = model.eval()(torch.load("photo.pth"))
torch.save(found[0] if isinstance(found, list) else dict(found), "found.pth")
"""


def seen_alone(folder: Path, kind: str, photo: torch.Tensor, **options: int) -> dict[str, torch.Tensor]:
    """What torchvision sees with published weights in a process that cannot import irnet_pipe."""
    source = write_network(folder / "source.pth", kind, backbone="resnet50")
    export_weights(source, folder, kind=kind, inference={})
    torch.save(photo, folder / "photo.pth")
    command = [sys.executable, "-c", ALONE, kind, json.dumps(options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert "All keys matched successfully" in done.stdout
    return torch.load(folder / "found.pth", weights_only=True)


@pytest.mark.slow
def test_torchvision_alone_sees_the_same_instances(tmp_path, rng):
    photo = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen = torch.from_numpy(photo).permute(2, 0, 1)
    found = seen_alone(tmp_path, "maskrcnn", seen[None].float() / 255, min_size=64, max_size=64)
    ours = load_mask_rcnn(tmp_path / "source.pth").detect(seen)
    assert len(ours.score) > 0
    torch.testing.assert_close(ours.box, found["boxes"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours.score, found["scores"], rtol=1e-4, atol=1e-5)
    assert (ours.class_id + 1).tolist() == found["labels"].tolist()


@pytest.mark.slow
def test_torchvision_alone_sees_the_same_classes(tmp_path, rng):
    photo = normalise(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))[None]
    found = seen_alone(tmp_path, "deeplab", photo)
    with torch.inference_mode():
        ours = load_deeplab(tmp_path / "source.pth")(photo)
    torch.testing.assert_close(ours, found["out"], rtol=1e-4, atol=1e-4)
