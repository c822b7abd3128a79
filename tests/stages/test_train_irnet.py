"""train_irnet on a handful of tiny photos with label maps made by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.data.image_list import ImageEntry, write_list
from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.recipes import Parent, Record
from irnet_pipe.runtime.job import Job
from irnet_pipe.stages import train_irnet

SETTINGS = {
    "epochs": 2,
    "batch": 2,
    "crop": 64,
    "scale": [0.5, 1.5],
    "optimizer": "sgd",
    "schedule": "polynomial",
    "lr_boundary": 0.1,
    "lr_displacement": 1.0,
    "momentum": 1e-4,
    "weight_decay": 1e-4,
    "precision": "fp32",
    "threads": 1,
}
LABELS = [(0,), (), (1,), (0, 1), (1,)]


@pytest.fixture
def job(tmp_path, rng):
    """Five photos, one of them without labels; relations in two shards; features of a classifier."""
    results = tmp_path / "results"
    entries, label_maps = [], {}
    for number, labels in enumerate(LABELS):
        height, width = (int(side) for side in rng.integers(50, 70, 2))
        label = np.zeros((height, width), dtype=np.uint8)
        label[10:40, 8:25], label[10:40, 30:45], label[:5] = 1, len(labels), 255
        photo = rng.integers(0, 60, (height, width, 3), dtype=np.uint8) + 60 * label[..., None] % 180
        Image.fromarray(photo.astype(np.uint8)).save(tmp_path / f"{number}.png")
        entries.append(
            ImageEntry(f"photo {number}", f"{number}.png", height, width, labels, f"{number:016d}")
        )
        label_maps[entries[-1].image_id] = label
    torch.manual_seed(0)
    classifier = CamNet("resnet18", 2)
    classifier.backbone.bn1.running_mean += 0.5
    header = {"kind": "cam", "backbone": "resnet18", "classes": ["disc", "box"]}
    write_weights(results / "cam.pth", header=header, state_dict=classifier.state_dict(), history={})
    shards = [write_relations(results / f"{i}.h5", entries[i::2], label_maps) for i in range(2)]
    digests = [write_list(results / "index", entries[i::2]) for i in range(2)]
    config = {
        "seed": 3,
        "irnet.backbone": "resnet18",
        "irnet.weights": "cam",
        "irnet.radius": 3,
        "irnet.train": SETTINGS,
        "dataset.working_long_side": None,
    }
    record = Record(
        recipe="0123456789abcdef",
        stage="train_irnet",
        version=1,
        unit="all",
        label="train_irnet all",
        path="train_irnet/all.0123456789abcdef.pth",
        spec={"config": config, "files": {}, "classes": ["disc", "box"]},
        parents=(Parent("train_cam", "all", "0" * 16, "cam.pth"), *shards),
        images=tuple(f"index/{digest}/images.json" for digest in digests),
        files={},
    )
    return Job(record, results / record.path, results, tmp_path, device="cpu")


def write_relations(path: Path, entries: list[ImageEntry], label_maps: dict[str, np.ndarray]) -> Parent:
    record = Record("f" * 16, "mine_relations", 1, path.stem, path.stem, path.name, {}, (), (), {})
    with write_artifact(path, record) as writer:
        for entry in entries:
            label = label_maps[entry.image_id]
            writer.add(
                entry.image_id,
                ImageSize(*label.shape, *label.shape),
                {"label": label} if entry.labels else {},
            )
    return Parent("mine_relations", path.stem, record.recipe, path.name)


def with_config(job: Job, **changes: object) -> Job:
    config = job.record.spec["config"] | {key.replace("__", "."): value for key, value in changes.items()}
    record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    return dataclasses.replace(job, record=record)


def with_file(job: Job, key: str, path: Path) -> Job:
    return dataclasses.replace(job, record=dataclasses.replace(job.record, files={key: str(path)}))


def test_heads_learn_on_the_classifiers_frozen_features(job):
    train_irnet.run(job)
    weights = read_weights(job.output, kind="irnet")
    assert (weights.header["backbone"], weights.header["radius"]) == ("resnet18", 3)
    classifier = read_weights(job.results / "cam.pth", kind="cam").state_dict
    features = [key for key in weights.state_dict if key.startswith("backbone.")]
    assert len(features) == len(classifier) - 1
    assert all(weights.state_dict[key].equal(classifier[key]) for key in features)
    names = {name for name in weights.history if name.startswith("loss_")}
    assert names == {"loss_pos_bg", "loss_pos_fg", "loss_neg", "loss_disp_fg", "loss_disp_bg"}
    assert weights.history["step"] == [1, 2, 3, 4]
    assert all(min(weights.history[name]) > 0 for name in names)


def test_equal_bytes_for_any_number_of_workers(job):
    train_irnet.run(job)
    expected = job.output.read_bytes()
    job.output.unlink()
    train_irnet.run(dataclasses.replace(job, workers=2))
    assert job.output.read_bytes() == expected


def test_loss_falls(job):
    settings = SETTINGS | {"epochs": 12, "optimizer": "adamw", "lr_boundary": 1e-2, "lr_displacement": 1e-2}
    train_irnet.run(with_config(job, irnet__train=settings))
    loss = read_weights(job.output, kind="irnet").history["epoch_loss"]
    assert np.mean(loss[-3:]) < 0.9 * np.mean(loss[:3])


def test_features_of_a_state_dict(job, tmp_path):
    state = CamNet("resnet18", 2).backbone.state_dict()
    torch.save(state, tmp_path / "resnet18.pth")
    train_irnet.run(with_file(job, "irnet.weights", tmp_path / "resnet18.pth"))
    made = read_weights(job.output, kind="irnet").state_dict
    assert made["backbone.layer4.0.conv1.weight"].equal(state["layer4.0.conv1.weight"])


def test_features_of_another_backbone(job):
    with pytest.raises(InputError, match=r"cam\.pth: weights of another architecture"):
        train_irnet.run(with_config(job, irnet__backbone="resnet34"))


def test_trained_weights_take_the_place_of_training(job, tmp_path):
    train_irnet.run(job)
    source = job.output.rename(tmp_path / "mine.pth")
    train_irnet.run(with_file(job, "irnet.trained", source))
    assert job.output.read_bytes() == source.read_bytes()
