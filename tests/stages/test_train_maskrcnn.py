"""train_maskrcnn on a tiny run."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from segmenter_run import many_instances, put_instances, training_job, with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.data.mask_samples import InstanceSamples
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.stages import train_maskrcnn
from irnet_pipe.training.mask_sources import mask_source


@pytest.fixture
def run(segmenter_pipeline) -> Pipeline:
    return segmenter_pipeline


@pytest.fixture
def job(run, tmp_path) -> Job:
    return training_job(run, tmp_path, "maskrcnn")


def boxes_of(*scores: float):
    """One square an image for each score, side by side."""

    def instances(entry):
        masks = np.zeros((len(scores), entry.height, entry.width), dtype=bool)
        for number, mask in enumerate(masks):
            mask[10:30, 10 + number : 30 + number] = True
        return list(masks), scores

    return instances


def test_interrupted_training_ends_with_the_same_bytes_whatever_was_drawn_before(run, tmp_path, monkeypatch):
    job = training_job(run, tmp_path, "maskrcnn", iterations=2)
    train_maskrcnn.run(job)
    expected, weights = job.output.read_bytes(), read_weights(job.output, kind="maskrcnn")
    assert weights.header["classes"] == ["box", "disc"] and weights.header["learnt-from"] == "full"
    names = {"classifier", "box_reg", "mask", "objectness", "rpn_box_reg"}
    assert {name for name in weights.history if name.startswith("loss_")} == {f"loss_{n}" for n in names}
    assert np.isfinite(weights.history["loss"]).all() and weights.history["step"] == [1, 2]
    assert not list(job.work.glob("checkpoint*"))
    job.output.unlink()
    update = Progress.update

    def stop_after_step_1(progress, done, *arguments, **keywords):
        update(progress, done, *arguments, **keywords)
        if done == 2:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", stop_after_step_1)
        with pytest.raises(Interrupted, match=r"SIGTERM after step [12] of 2"):
            train_maskrcnn.run(job)
    assert list(job.work.glob("checkpoint-00000000[12].pth"))
    torch.manual_seed(99)
    train_maskrcnn.run(job)
    assert job.output.read_bytes() == expected


def test_no_instance_above_the_floor(run, tmp_path):
    job = training_job(run, tmp_path, "maskrcnn", min_score=0.9)
    put_instances(job, boxes_of(0.5, 0))
    with pytest.raises(InputError) as caught:
        train_maskrcnn.run(job)
    (message,) = caught.value.problems
    assert message.startswith(
        "maskrcnn.train: none of 4 training images with labels has an instance in full of score 0.9 or more; "
        "lower maskrcnn.train.min_score,"
    )
    assert not job.output.exists()


def test_fragments_and_instances_below_the_floor_are_no_examples(run, tmp_path):
    job = training_job(run, tmp_path, "maskrcnn", min_score=0.4)
    put_instances(job, boxes_of(0.3, 0.5, 0, 0.4))
    source = mask_source(job, min_score=0.4)
    masks, classes = source.instances(job.images[0])
    assert classes == [0, 0]
    assert [int(np.flatnonzero(mask.any(axis=0))[0]) for mask in masks] == [11, 13]


def test_samples_of_an_image_of_400_instances(run, tmp_path):
    job = training_job(run, tmp_path, "maskrcnn")
    put_instances(job, many_instances(400))
    entry = next(entry for entry in job.images if entry.image_id == "beta")
    side = min(entry.height, entry.width)
    samples = InstanceSamples(
        [entry],
        job.root,
        source=mask_source(job),
        stage="train_maskrcnn",
        short_side=(side, side),
        max_side=64,
        seed=0,
    )
    (photo, _), target = samples[0, 0]
    assert {name: tuple(value.shape) for name, value in target.items()} == {
        "boxes": (400, 4),
        "labels": (400,),
        "masks": (400, *photo.shape[1:]),
    }
    assert (target["masks"].sum(dim=(1, 2)) == 4).all() and target["masks"].sum(dim=0).max() == 1
    assert (target["boxes"][:, 2:] - target["boxes"][:, :2] == 2).all()


@pytest.mark.slow
def test_an_image_of_400_instances(run, tmp_path):
    job = training_job(run, tmp_path, "maskrcnn", iterations=1)
    put_instances(job, many_instances(400))
    train_maskrcnn.run(job)
    assert np.isfinite(read_weights(job.output, kind="maskrcnn").history["loss"]).all()


def test_a_class_that_never_occurs(run, tmp_path):
    job = training_job(run, tmp_path, "maskrcnn", iterations=1)
    put_instances(job, boxes_of(0.5))
    assert job.fact("classes") == ["box", "disc"]
    train_maskrcnn.run(job)
    weights = read_weights(job.output, kind="maskrcnn")
    assert np.isfinite(weights.history["loss"]).all()
    assert weights.header["classes"] == ["box", "disc"]
    assert weights.state_dict["roi_heads.mask_predictor.mask_fcn_logits.weight"].shape[0] == 3


def test_loss_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(run, tmp_path, monkeypatch):
    job = training_job(run, tmp_path, "maskrcnn", iterations=4)
    forward, calls = train_maskrcnn.MaskRcnn.forward, []

    def nan_at_step_3(model, photos, targets):
        calls.append(photos)
        losses = forward(model, photos, targets)
        return losses | {"total": losses["total"] * (float("nan") if len(calls) == 3 else 1)}

    monkeypatch.setattr(train_maskrcnn.MaskRcnn, "forward", nan_at_step_3)
    with pytest.raises(InputError) as caught:
        train_maskrcnn.run(job)
    (message,) = caught.value.problems
    assert message.startswith("maskrcnn.train: the loss is not finite in epoch 2, step 3 of 4: ")
    assert "loss nan" in message
    batch = message.split(" on the batch ")[1].split(";")[0].split(", ")
    assert len(batch) == 2 and set(batch) <= {repr(entry.image_id) for entry in job.images if entry.labels}
    assert "lower maskrcnn.train.lr" in message
    assert [path.name for path in job.work.glob("checkpoint*")] == ["checkpoint-000000002.pth"]
    assert not job.output.exists()


def test_device_without_the_memory_for_a_step(job, monkeypatch):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(train_maskrcnn.MaskRcnn, "forward", fail)
    with pytest.raises(
        InputError,
        match=r"on 2 photos of up to 64 pixels a side in fp32; lower maskrcnn\.train\.batch or .*max_side",
    ):
        train_maskrcnn.run(job)


def test_ground_truth_is_the_other_source(tmp_path, photo_set, trained, make_tiny_values):
    values = with_segmenters(
        make_tiny_values(photo_set, tmp_path / "true"),
        maskrcnn__train__source="truth",
        maskrcnn__weights="cam",
    )
    run = Pipeline(values, {"train_cam": trained.cam})
    job = training_job(run, tmp_path, "maskrcnn", iterations=1, freeze="layer2")
    assert [parent.stage for parent in job.record.parents] == ["train_cam"]
    masks, classes = mask_source(job).instances(next(e for e in job.images if e.image_id == "beta"))
    assert sorted(classes) == [0, 1] and [mask.shape for mask in masks] == [(48, 64)] * 2
    train_maskrcnn.run(job)
    weights = read_weights(job.output, kind="maskrcnn")
    assert weights.header["learnt-from"] == "truth"
    before = read_weights(trained.cam, kind="cam").state_dict
    body = {
        key.removeprefix("backbone.body."): value
        for key, value in weights.state_dict.items()
        if key.startswith("backbone.body.")
    }
    kept = {key for key, value in body.items() if value.equal(before[f"backbone.{key}"])}
    assert {key.split(".")[0] for key in kept} >= {"conv1", "bn1", "layer1", "layer2"}
    assert all(key in kept for key in body if key.startswith(("conv1", "bn1", "layer1", "layer2")))
    assert not any(key in kept for key in body if "layer4" in key and key.endswith("conv1.weight"))
