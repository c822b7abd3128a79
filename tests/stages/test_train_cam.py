"""train_cam on a handful of tiny photos."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.data.image_list import ImageEntry, write_list
from irnet_pipe.errors import InputError
from irnet_pipe.recipes import Record
from irnet_pipe.runtime.job import Job
from irnet_pipe.stages import train_cam

SETTINGS = {
    "epochs": 2,
    "batch": 3,
    "crop": 64,
    "long_side": [40, 80],
    "optimizer": "sgd",
    "schedule": "polynomial",
    "lr": 0.05,
    "lr_classifier": 0.5,
    "momentum": 1e-4,
    "weight_decay": 1e-4,
    "freeze": "none",
    "batch_norm": "batch",
    "precision": "fp32",
    "threads": 1,
}
CLASSES = ["disc", "box"]


@pytest.fixture
def job(tmp_path, rng):
    """Seven photos of one, two or no class."""
    entries = []
    for number, labels in enumerate([(0,), (1,), (0, 1), (), (1,), (0,), (0, 1)]):
        height, width = (int(side) for side in rng.integers(40, 70, 2))
        photo = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
        entries.append(
            ImageEntry(f"photo {number}", f"{number}.png", height, width, labels, f"{number:016d}")
        )
    results = tmp_path / "results"
    config = {"seed": 3, "cam.backbone": "resnet18", "cam.weights": None, "cam.train": SETTINGS}
    digest = write_list(results / "index", entries)
    record = Record(
        recipe="0123456789abcdef",
        stage="train_cam",
        version=1,
        unit="all",
        label="train_cam all",
        path="train_cam/all.0123456789abcdef.pth",
        spec={"config": config, "files": {}, "classes": CLASSES, "list": digest},
        parents=(),
        images=(f"index/{digest}/images.json",),
        files={},
    )
    return Job(record, results / record.path, results, tmp_path, device="cpu")


def with_settings(job: Job, **changes: object) -> Job:
    config = job.record.spec["config"] | {"cam.train": SETTINGS | changes}
    record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    return dataclasses.replace(job, record=record)


def with_file(job: Job, key: str, path: Path) -> Job:
    record = dataclasses.replace(job.record, files={key: str(path)})
    return dataclasses.replace(job, record=record)


def elsewhere(job: Job, folder: str, **changes: object) -> Job:
    """The same recipe with another work folder and output."""
    results = job.results.rename(job.results.parent / folder) if job.results.exists() else job.results
    return dataclasses.replace(job, results=results, output=results / job.record.path, **changes)


def test_weights_file_holds_all_that_inference_needs(job):
    train_cam.run(job)
    weights = read_weights(job.output, kind="cam")
    assert weights.header["backbone"] == "resnet18"
    assert weights.header["classes"] == CLASSES
    assert weights.header["recipe"] == job.record.recipe
    assert weights.state_dict["classifier.weight"].shape == (2, 512, 1, 1)
    # statistics are those gathered in training: 2 epochs of 7 // 3 steps
    assert weights.state_dict["backbone.bn1.num_batches_tracked"] == 4
    assert weights.history["step"] == [1, 2, 3, 4]
    assert weights.history["lr_classifier"] == pytest.approx([0.5 * (1 - t / 4) ** 0.9 for t in range(4)])
    assert len(weights.history["epoch_loss"]) == 2
    assert not list(job.work.glob("checkpoint*"))


def test_equal_bytes_for_any_number_of_workers(job):
    train_cam.run(job)
    expected = job.output.read_bytes()
    again = elsewhere(job, "again", workers=2)
    again.output.unlink()
    train_cam.run(again)
    assert again.output.read_bytes() == expected


def test_another_seed_gives_other_weights(job):
    train_cam.run(job)
    expected = read_weights(job.output, kind="cam").state_dict["classifier.weight"]
    job.output.unlink()
    job.record.spec["config"]["seed"] = 4
    train_cam.run(job)
    assert not read_weights(job.output, kind="cam").state_dict["classifier.weight"].equal(expected)


def test_adamw_one_cycle_bf16(job):
    train_cam.run(with_settings(job, optimizer="adamw", schedule="one_cycle", precision="bf16", lr=1e-3))
    assert np.isfinite(read_weights(job.output, kind="cam").history["loss"]).all()


def test_frozen_layers_keep_their_weights(job, tmp_path):
    train_cam.run(job)
    state = read_weights(job.output, kind="cam").state_dict
    pretrained = {key.removeprefix("backbone."): state[key] for key in state if "backbone." in key}
    source = tmp_path / "resnet18.pth"
    torch.save(pretrained, source)
    job.output.unlink()
    train_cam.run(with_file(with_settings(job, freeze="layer2", batch_norm="running"), "cam.weights", source))
    after = read_weights(job.output, kind="cam").state_dict
    changed = {key.split(".")[0] for key in pretrained if not after[f"backbone.{key}"].equal(pretrained[key])}
    assert changed == {"layer3", "layer4"}


def test_existing_artifact_is_left_alone(job):
    job.output.parent.mkdir(parents=True)
    job.output.write_bytes(b"made by a twin")
    train_cam.run(job)
    assert job.output.read_bytes() == b"made by a twin"


def test_too_few_images_for_a_batch(job):
    with pytest.raises(InputError, match=r"cam\.train\.batch is 8, but only 7 images"):
        train_cam.run(with_settings(job, batch=8))


def test_missing_photo_is_named_without_a_traceback(job):
    job.photo(job.images[2]).unlink()
    with pytest.raises(InputError) as caught:
        train_cam.run(dataclasses.replace(job, workers=1))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(str(job.photo(job.images[2])))


def test_trained_weights_take_the_place_of_training(job, tmp_path):
    train_cam.run(job)
    source = job.output.rename(tmp_path / "mine.pth")
    train_cam.run(with_file(job, "cam.trained", source))
    assert job.output.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("classes", [["disc"], ["box", "disc"]])
def test_trained_weights_of_other_classes_are_refused(job, tmp_path, classes):
    train_cam.run(job)
    weights = read_weights(job.output, kind="cam")
    state = weights.state_dict | {
        "classifier.weight": weights.state_dict["classifier.weight"][: len(classes)]
    }
    source = tmp_path / "other.pth"
    write_weights(source, header=weights.header | {"classes": classes}, state_dict=state, history={})
    job.output.unlink()
    with pytest.raises(InputError, match=r"other\.pth: classifies .*'disc'.*but the data has"):
        train_cam.run(with_file(job, "cam.trained", source))
    assert not job.output.exists()
