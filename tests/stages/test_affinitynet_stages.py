"""mine_affinitynet, train_affinitynet, propagate_affinitynet and the masks of the variant, on a tiny run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from contract import DeviceContract, ShardContract
from test_export_masks import OfVariant
from test_ranks_together import run_alone, run_together
from tiny_pipeline import Pipeline

from affinitynet_run import with_affinitynet
from irnet_pipe.artifacts.arrays import unpack_maps
from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.masks import semantic_map
from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.data.datasets import AffinitySamples
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.numerics.affinity_labels import join_background, pool_scores
from irnet_pipe.numerics.cam import highres_cam
from irnet_pipe.recipes import record_path, write_record
from irnet_pipe.stages import propagate_affinitynet, train_affinitynet


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """AffinityNet that has learnt nothing."""
    path = tmp_path_factory.mktemp("trained") / "affinitynet.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = AffinityNet("resnet18").state_dict()
    header = {"kind": "affinitynet", "backbone": "resnet18", "radius": 3}
    write_weights(path, header=header, state_dict=state, history={})
    return path


@pytest.fixture(scope="module")
def pipeline(weights, tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    values = with_affinitynet(make_tiny_values(photo_set, tmp_path_factory.mktemp("affinitynet")))
    return Pipeline(values, {"train_cam": trained.cam, "train_affinitynet": weights})


@pytest.fixture(scope="module")
def dark_pipeline(weights, tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    values = with_affinitynet(make_tiny_values(photo_set, tmp_path_factory.mktemp("dark affinitynet")))
    return Pipeline(values, {"train_cam": trained.dark, "train_affinitynet": weights})


class TestMineAffinityNet(ShardContract):
    stage = "mine_affinitynet"
    parents = ("infer_cam",)
    opens_photos = True

    def check_arrays(self, reader, entry, job):
        assert reader.read(entry.image_id, "class_id").tolist() == list(entry.labels)
        low, high = (reader.read(entry.image_id, f"{name}_alpha").astype(int) for name in ("low", "high"))
        assert low.shape == high.shape == (1 + len(entry.labels), *reader.sizes[entry.image_id].working)
        for score in (low, high):
            assert np.abs(score.sum(axis=0) - 255).max() <= len(score) / 2, "shares of 255 that are rounded"
        assert low[0].sum() >= high[0].sum()


def far_apart(_: AffinityNet, photo: torch.Tensor) -> torch.Tensor:
    """Features among which no walk goes anywhere."""
    return 1e3 * torch.rand(1, 4, -(-photo.shape[-2] // 8), -(-photo.shape[-1] // 8))


@pytest.mark.slow
class TestPropagateAffinityNet(DeviceContract):
    stage = "propagate_affinitynet"
    parents = ("infer_cam", "train_affinitynet")
    opens_photos = True
    forward = (AffinityNet, "forward")
    size_keys = "dataset.working_long_side"
    negatives_have: ClassVar = {"class_id": (0,)}

    def check_arrays(self, reader, entry, job):
        height, width = reader.sizes[entry.image_id].working
        score = unpack_maps(reader, entry.image_id, "score")
        assert reader.read(entry.image_id, "class_id").tolist() == list(entry.labels)
        assert score.shape == (1 + len(entry.labels), -(-height // 8), -(-width // 8))
        assert (score >= 0).all() and score[0].any()

    def test_among_features_far_apart_scores_stay_where_they_start(self, job):
        walk = {"alpha": 2, "beta": 20, "exp_times": 0}
        config = job.record.spec["config"] | {"affinitynet.walk": walk}
        far = dataclasses.replace(
            job, record=dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AffinityNet, "forward", far_apart)
            propagate_affinitynet.run(far)
        with self.open(job) as reader, ArtifactReader(job.parent("infer_cam"), kind="cam") as cams:
            for entry in (entry for entry in job.images if entry.labels):
                _, maps = read_class_maps(cams, entry.image_id)
                cam = highres_cam(
                    [torch.from_numpy(m) for m in maps], size=cams.sizes[entry.image_id].working
                )
                expected = pool_scores(join_background(cam, alpha=2)).numpy()
                np.testing.assert_allclose(
                    unpack_maps(reader, entry.image_id, "score"), expected, rtol=1e-3, atol=1e-6
                )


class TestExportAffinityNet(OfVariant):
    variant = "affinitynet"
    parents = ("propagate_affinitynet",)

    def test_no_threshold_decides_what_is_background(self, job):
        usual = self.run(job)
        settings = {"export.semantic": {"bg_threshold": 0.9}}
        settings["export.instance"] = {"bg_threshold": 0.9, "min_fragment": 0.01}
        config = job.record.spec["config"] | settings
        record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
        with self.open(job) as reader:
            before = [semantic_map(reader, entry) for entry in job.images]
        assert usual != self.run(dataclasses.replace(job, record=record)), "the spec is part of the file"
        with self.open(job) as reader:
            for entry, labels in zip(job.images, before, strict=True):
                np.testing.assert_array_equal(semantic_map(reader, entry), labels)

    def test_pixels_are_those_whose_class_beats_the_background(self, job):
        self.run(job)
        with (
            self.open(job) as reader,
            ArtifactReader(job.parent("propagate_affinitynet"), kind="affinity_propagation") as scores,
        ):
            for entry in (entry for entry in job.images if entry.labels):
                score = torch.from_numpy(unpack_maps(scores, entry.image_id, "score"))
                up = torch.nn.functional.interpolate(score[None], scale_factor=8, mode="bilinear")[0]
                height, width = reader.sizes[entry.image_id].working
                expected = up[:, :height, :width].argmax(0).numpy()
                if (height, width) == (entry.height, entry.width):
                    class_id = np.array([-1, *scores.read(entry.image_id, "class_id")])
                    agree = semantic_map(reader, entry) == class_id[expected] + 1
                    assert agree.mean() > 0.999


@pytest.fixture
def training(pipeline, tmp_path):
    return pipeline.job_in(tmp_path, "train_affinitynet")


def with_settings(job, **settings):
    config = job.record.spec["config"]
    config = config | {"affinitynet.train": config["affinitynet.train"] | settings}
    return dataclasses.replace(
        job, record=dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    )


def test_training_starts_from_the_classifier_and_keeps_what_is_frozen(training, trained):
    train_affinitynet.run(training)
    weights = read_weights(training.output, kind="affinitynet")
    assert (weights.header["backbone"], weights.header["radius"]) == ("resnet18", 3)
    classifier = read_weights(trained.cam, kind="cam").state_dict
    same = {
        key.split(".")[1]
        for key in classifier
        if key.startswith("backbone.") and weights.state_dict[key].equal(classifier[key])
        if key.endswith("conv1.weight")
    }
    assert same == {"conv1", "layer1"}
    assert {name for name in weights.history if name.startswith("loss_")} == {
        "loss_pos_bg",
        "loss_pos_fg",
        "loss_neg",
    }


@pytest.mark.slow
def test_loss_falls(training):
    train_affinitynet.run(with_settings(training, epochs=12))
    loss = read_weights(training.output, kind="affinitynet").history["epoch_loss"]
    assert np.mean(loss[-3:]) < 0.9 * np.mean(loss[:3])


@pytest.mark.slow
def test_equal_bytes_for_any_number_of_workers(training):
    train_affinitynet.run(training)
    expected = training.output.read_bytes()
    training.output.unlink()
    train_affinitynet.run(dataclasses.replace(training, workers=2))
    assert training.output.read_bytes() == expected


def test_samples_are_cropped_and_mirrored_with_their_scores(training, monkeypatch):
    """Scores made of the photo itself: labels then follow where the photo is dark."""
    samples = AffinitySamples(
        [entry for entry in training.images if entry.labels],
        training.root,
        scores=training.parents("mine_affinitynet"),
        working_long_side=64,
        crop=48,
        jitter=(0, 0, 0, 0),
        seed=0,
    )

    class OfPhoto:
        def read(self, image_id, name):
            entry = next(entry for entry in samples.entries if entry.image_id == image_id)
            dark = (samples.photo(entry).mean(axis=2) < 128).astype(np.uint8)
            return np.stack([255 * (1 - dark), 255 * dark])

    monkeypatch.setitem(vars(samples), "_scores", OfPhoto())
    for epoch in range(4):
        for index in range(len(samples)):
            photo, label = samples[epoch, index]
            light = photo * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            light = 255 * (light + torch.tensor([0.485, 0.456, 0.406])[:, None, None]).mean(0)
            inside = torch.nn.functional.avg_pool2d((photo != 0).any(0).float()[None], 8)[0]
            share = torch.nn.functional.avg_pool2d((light < 128).float()[None], 8)[0]
            clear = (inside == 1) & ((share < 0.3) | (share > 0.7))
            assert (label[inside == 0] == 255).all()
            assert ((label == 1) == (share > 0.5))[clear].all()


def written(job, **settings):
    """A training whose record is written anew: its settings are its own."""
    changed = with_settings(job, **settings)
    record_path(changed.results, changed.record.recipe).unlink()  # a link to that of other tests
    write_record(changed.results, changed.record)
    return changed


@pytest.mark.slow
def test_a_training_that_was_interrupted_goes_on(pipeline, tmp_path):
    straight, interrupted = (
        written(pipeline.job_in(tmp_path / name, "train_affinitynet"), epochs=4)
        for name in ("straight", "interrupted")
    )
    assert run_alone(straight) == ""
    assert "after step 3 of" in run_alone(interrupted, signal_at=2)
    assert run_alone(interrupted) == ""
    assert interrupted.output.read_bytes() == straight.output.read_bytes()


@pytest.mark.slow
def test_two_ranks_train_as_one_process_would(pipeline, tmp_path):
    settings = {"epochs": 6, "batch": 4, "optimizer": "sgd", "lr": 1e-3, "lr_head": 1e-2}
    alone, shared = (
        written(pipeline.job_in(tmp_path / name, "train_affinitynet"), **settings)
        for name in ("alone", "shared")
    )
    assert run_alone(alone) == ""
    assert run_together(tmp_path, {"shared": (shared, None)}) == [{"shared": ""}] * 2
    one, two = (read_weights(job.output, kind="affinitynet") for job in (alone, shared))
    np.testing.assert_allclose(two.history["loss"], one.history["loss"], rtol=1e-4)
    for name, value in one.state_dict.items():
        if value.is_floating_point():
            torch.testing.assert_close(two.state_dict[name], value, rtol=1e-3, atol=1e-5)
