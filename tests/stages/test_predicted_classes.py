"""Images without labels, whose classes the classifier predicts."""

import json
import shutil
import tarfile

import pytest
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.json_files import read_json


@pytest.mark.parametrize(("threshold", "classes"), [(0.0, {"box", "disc"}), (1.0, set())])
def test_from_prediction_to_masks(
    tmp_path, photo_set, trained, make_tiny_values, image_labels, threshold, classes
):
    """Every stage takes any number of predicted classes, none included, and the results announce them."""
    folder = shutil.copytree(photo_set, tmp_path / "photos")
    every, training = image_labels
    rows = [f'"{image_id}",{every[image_id]}' for image_id in training]
    (folder / "labels.csv").write_text("\n".join(["image_id,labels", *rows]), encoding="utf-8")
    values = make_tiny_values(folder, tmp_path)
    values["dataset"] |= {"missing": "predict", "predict_threshold": threshold}
    pipeline = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
    for artifact in pipeline.plan.targets[0].parents:
        pipeline.make(artifact)
    predicted = len(every) - len(training)
    with tarfile.open(pipeline.results / pipeline.artifact("gather_masks", "full").path) as tar:
        counts = json.load(tar.extractfile("counts.json"))
        masks = json.load(tar.extractfile("masks.json"))
    assert counts["images_with_predicted_classes"] == predicted
    names = {image["id"]: image["file_name"] for image in masks["images"]}
    unlabelled = {f"images/{image_id}.png" for image_id in every if image_id not in training}
    found = {a["category_id"] for a in masks["annotations"] if names[a["image_id"]] in unlabelled}
    assert {c["name"] for c in masks["categories"] if c["id"] in found} == classes
    for scores in (*pipeline.plan.of("evaluate_cam"), *pipeline.plan.of("evaluate_masks")):
        content = read_json(pipeline.results / scores.path, kind="scores")
        assert content["images_with_predicted_classes"] == predicted
