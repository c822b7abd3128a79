"""`irnet-pipe predict` finds in photos of the data set what the stages of the run find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segmenter_run import with_segmenters
from test_segmenter_results import NETWORKS, write_network
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.masks import read_instances, semantic_map
from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.cli.main import main
from irnet_pipe.export.torchvision_weights import export_weights
from irnet_pipe.numerics.run_lengths import decompress_rle


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    """A run whose settings are not the defaults."""
    folder = tmp_path_factory.mktemp("stages")
    values = with_segmenters(
        make_tiny_values(photo_set, folder),
        deeplab__infer__crf__iterations=2,
        maskrcnn__infer__nms=0.4,
        maskrcnn__infer__precision="bf16",
    )
    weights = {
        f"train_{kind}": write_network(folder / f"{kind}.pth", kind, backbone="resnet18") for kind in NETWORKS
    }
    _see_classes(weights["train_deeplab"])
    return Pipeline(values, {"train_cam": trained.cam, **weights})


def _see_classes(path: Path) -> None:
    """Change weights of DeepLab that see background everywhere."""
    weights = read_weights(path, kind="deeplab")
    state = weights.state_dict | {"classifier.4.bias": torch.tensor([-1.0, 0, 0])}
    write_weights(path, header=weights.header, state_dict=state, history=weights.history)


@pytest.fixture(autouse=True)
def one_thread():
    """As the stages compute: another number of threads may change last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def predicted(pipeline: Pipeline, kind: str, folder: Path) -> tuple[ArtifactReader, list, Path]:
    """The artifact of a shard, its images, and what `predict` makes of the photos."""
    artifact = pipeline.artifact(f"infer_{kind}")
    reader, job = ArtifactReader(pipeline.make(artifact), kind="masks"), pipeline.job(artifact)
    run = folder / "run"
    run.mkdir()
    weights = pipeline.results / pipeline.artifact(f"train_{kind}").path
    export_weights(weights, run, kind=kind, inference=job.record.spec["config"])
    words = ["predict", pipeline.root / "images", "--model", run / f"{kind}.pth", "--out", folder / "out"]
    assert main([str(word) for word in [*words, "--device", "cpu", "--no-overlays"]]) == 0
    return reader, job.images, folder / "out"


def test_instances_are_those_of_the_stage(pipeline, tmp_path):
    reader, entries, out = predicted(pipeline, "maskrcnn", tmp_path)
    content = json.loads((out / "instances.json").read_text(encoding="utf-8"))
    numbers = {image["file_name"]: image["id"] for image in content["images"]}
    count = 0
    with reader:
        for entry in entries:
            found = [a for a in content["annotations"] if a["image_id"] == numbers[f"{entry.image_id}.png"]]
            made = read_instances(reader, entry.image_id)
            assert [annotation["category_id"] - 1 for annotation in found] == made.class_id.tolist()
            assert [annotation["score"] for annotation in found] == [round(float(s), 6) for s in made.score]
            for annotation, runs in zip(found, made.runs, strict=True):
                np.testing.assert_array_equal(decompress_rle(annotation["segmentation"]["counts"]), runs)
            count += len(found)
    assert count > 0


def test_classes_are_those_of_the_stage(pipeline, tmp_path):
    reader, entries, out = predicted(pipeline, "deeplab", tmp_path)
    with reader:
        for entry in entries:
            label = np.array(Image.open(out / "SegmentationClass" / f"{entry.image_id}.png"))
            np.testing.assert_array_equal(label, semantic_map(reader, entry))
            assert label.any()
