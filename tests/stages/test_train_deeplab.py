"""train_deeplab on a tiny run."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest
import torch
from segmenter_run import put_masks, training_job, with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.masks import pack_instances
from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.mask_samples import SemanticSamples
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.stages import train_deeplab
from irnet_pipe.training.mask_sources import mask_source


@pytest.fixture
def run(segmenter_pipeline) -> Pipeline:
    return segmenter_pipeline


@pytest.fixture
def job(run, tmp_path) -> Job:
    return training_job(run, tmp_path, "deeplab")


def put_disc(job: Job, *, present: bool) -> None:
    """Write semantic masks of our own: the upper half is of class 1, or nothing."""

    def arrays(entry: ImageEntry) -> dict[str, Any]:
        mask = np.zeros((entry.height, entry.width), dtype=bool)
        mask[: entry.height // 2] = present
        return (
            {"class_id": np.array([1], dtype=np.int32)}
            | pack_runs("semantic", [encode_rle(mask)])
            | pack_instances([], [], [])
        )

    put_masks(job, arrays)


@pytest.mark.slow
def test_interrupted_training_ends_with_the_same_bytes_whatever_was_drawn_before(job, monkeypatch):
    train_deeplab.run(job)
    expected, weights = job.output.read_bytes(), read_weights(job.output, kind="deeplab")
    assert weights.header["classes"] == ["box", "disc"] and weights.header["learnt-from"] == "full"
    assert np.isfinite(weights.history["loss"]).all() and weights.history["step"] == [1, 2, 3]
    assert weights.state_dict["classifier.0.convs.0.1.num_batches_tracked"] == 3
    job.output.unlink()
    update = Progress.update

    def stop_after_step_2(progress, done, *arguments, **keywords):
        update(progress, done, *arguments, **keywords)
        if done == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", stop_after_step_2)
        with pytest.raises(Interrupted, match=r"SIGTERM after step [23] of 3"):
            train_deeplab.run(job)
    torch.manual_seed(99)
    train_deeplab.run(job)
    assert job.output.read_bytes() == expected


def test_no_class_in_any_image(job):
    put_disc(job, present=False)
    with pytest.raises(InputError) as caught:
        train_deeplab.run(job)
    (message,) = caught.value.problems
    assert message.startswith(
        "deeplab.train: none of 4 training images with labels has a pixel of any class in full; lower "
        "export.semantic.bg_threshold"
    )


def test_a_class_that_never_occurs(run, tmp_path):
    job = training_job(run, tmp_path, "deeplab", iterations=1)
    put_disc(job, present=True)
    assert job.fact("classes") == ["box", "disc"]
    train_deeplab.run(job)
    weights = read_weights(job.output, kind="deeplab")
    assert np.isfinite(weights.history["loss"]).all()
    assert weights.state_dict["classifier.4.weight"].shape[0] == 3


def test_more_classes_than_a_label_map_holds(job):
    job.record.spec["classes"] = [f"class {number}" for number in range(255)]
    with pytest.raises(InputError, match=r"deeplab: 255 classes, but label maps have room for 254"):
        train_deeplab.run(job)


def test_labels_follow_the_photo_and_padding_is_void(job):
    put_disc(job, present=True)
    entry = next(entry for entry in job.images if entry.image_id == "beta")
    samples = SemanticSamples(
        [entry],
        job.root,
        source=mask_source(job),
        stage="train_deeplab",
        working_long_side=None,
        crop=96,
        scale=(1, 1),
        seed=0,
    )
    photo, label = samples[0, 0]
    assert photo.shape == (3, 96, 96) and label.shape == (96, 96)
    inside = label != 255
    assert inside.sum() == 48 * 64 and (photo.abs().sum(dim=0)[~inside] == 0).all()
    top = int(torch.nonzero(inside.any(dim=1))[0])
    rows = label[top : top + 48][:, inside.any(dim=0)]
    assert (rows[:24] == 2).all() and (rows[24:] == 0).all()


def test_void_pixels_are_ignored():
    logits = torch.tensor([[[[4.0, 0.0]], [[0.0, 4.0]]]])
    right = train_deeplab._losses(logits, torch.tensor([[[0, 1]]], dtype=torch.uint8))["total"]
    void = train_deeplab._losses(logits, torch.tensor([[[0, 255]]], dtype=torch.uint8))["total"]
    wrong = train_deeplab._losses(logits, torch.tensor([[[0, 0]]], dtype=torch.uint8))["total"]
    torch.testing.assert_close(right, void)
    assert wrong > 10 * right
    assert train_deeplab._losses(logits, torch.full((1, 1, 2), 255, dtype=torch.uint8))["total"] == 0


@pytest.mark.slow
def test_ground_truth_is_the_other_source(tmp_path, photo_set, trained, make_tiny_values):
    values = with_segmenters(
        make_tiny_values(photo_set, tmp_path / "true"), deeplab__train__source="truth", deeplab__weights="cam"
    )
    run = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
    job = training_job(run, tmp_path, "deeplab", iterations=1, freeze="layer2")
    assert [parent.stage for parent in job.record.parents] == ["train_cam"]
    source = mask_source(job)
    entry = next(entry for entry in job.images if entry.image_id == "beta")
    assert set(np.unique(source.label_map(entry))) == {0, 1, 2}
    train_deeplab.run(job)
    weights = read_weights(job.output, kind="deeplab")
    before = read_weights(trained.cam, kind="cam").state_dict
    frozen = ("conv1", "bn1", "layer1", "layer2")
    for key, value in before.items():
        name = key.removeprefix("backbone.")
        if key.startswith("backbone.") and name.endswith("conv1.weight"):
            assert value.equal(weights.state_dict[key]) == name.startswith(frozen), key
