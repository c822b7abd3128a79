"""How much jobs have to do, and which of them are equally fast."""

from __future__ import annotations

import dataclasses

import pytest

from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.forecast.workload import Workload, backbone, speed_key, workload
from irnet_pipe.recipes import Record
from irnet_pipe.stages import select_relation_thresholds, select_thresholds
from irnet_pipe.workflow import PlannedRun, plan_for

PHOTO = ImageEntry("a", "a.png", 300, 400, (0,), "x")
SMALL = ImageEntry("b", "b.png", 30, 50, (1,), "x")
NEGATIVE = ImageEntry("c", "c.png", 300, 400, (), "x")


@pytest.fixture
def plan(tiny):
    def planned(**changes) -> PlannedRun:
        return plan_for(parse_config(merge(tiny, changes)))

    return planned


def records(run: PlannedRun) -> dict[str, Record]:
    return {artifact.recipe: artifact.record for artifact in run.plan.artifacts}


def work(run: PlannedRun, stage: str, *entries: ImageEntry) -> Workload:
    return workload(run.plan.of(stage)[0].record, entries, records(run).get)


def keys(run: PlannedRun, stage: str) -> set[str]:
    return {speed_key(artifact.record, records(run).get) for artifact in run.plan.of(stage)}


@pytest.mark.parametrize(
    ("stage", "pixels"),
    [
        ("infer_cam", (48 * 64 + 30 * 50) * 1.25),  # scales 1 and 0.5
        ("mine_relations", 48 * 64 + 30 * 50),
        ("infer_irnet", 2 * 64 * 64),
        ("refine_displacement", 48 * 64 + 30 * 50),
        ("propagate", 48 * 64 + 30 * 50),
        ("export_masks", 300 * 400 + 30 * 50),
        ("gather_masks", 300 * 400 + 30 * 50),
        ("evaluate_masks", 300 * 400 + 30 * 50),
    ],
)
def test_images_count_by_their_pixels_as_the_stage_sees_them(plan, stage, pixels):
    found = work(plan(), stage, PHOTO, SMALL)
    assert found.items == 2
    assert found.megapixels == pytest.approx(pixels / 1e6)
    assert found.largest < found.megapixels


def test_photos_without_bound(plan):
    run = plan(dataset={"working_long_side": None})
    assert work(run, "propagate", PHOTO).megapixels == pytest.approx(0.12)
    assert work(run, "infer_irnet", PHOTO).megapixels == pytest.approx(0.16), "a canvas that holds it"


def test_negatives_are_no_work_but_for_what_shows_them(plan):
    for stage in ("infer_cam", "infer_irnet", "propagate", "export_masks"):
        assert work(plan(), stage, NEGATIVE) == Workload(1, 0, 0)
    assert work(plan(), "gather_masks", NEGATIVE).megapixels == pytest.approx(0.12)


@pytest.mark.parametrize("module", [select_relation_thresholds, select_thresholds])
def test_choosing_thresholds_looks_at_some_labelled_images(plan, module):
    stage = module.__name__.rsplit(".", 1)[-1]
    run = plan(relations={"fg_threshold": "auto"}, export={"semantic": {"bg_threshold": "auto"}})
    many = [dataclasses.replace(PHOTO, image_id=str(number)) for number in range(module.MOST_IMAGES + 5)]
    assert work(run, stage, PHOTO, NEGATIVE).items == 1
    assert work(run, stage, *many).items == module.MOST_IMAGES


def test_trainings_count_the_images_of_all_steps(plan):
    run = plan(cam={"train": {"epochs": 3, "crop": 100}})
    entries = [PHOTO, SMALL, NEGATIVE, SMALL, PHOTO]
    assert work(run, "train_cam", *entries) == Workload(12, pytest.approx(0.12), pytest.approx(0.01))
    assert work(run, "train_irnet", *entries).items == 4, "one epoch of those with labels, a batch of 2"


def test_segmenters_count_iterations(plan):
    run = plan(
        segmenters=["maskrcnn"],
        maskrcnn={"train": {"iterations": 7, "short_side": [50, 100], "max_side": 200}},
    )
    assert work(run, "train_maskrcnn", PHOTO) == Workload(28, pytest.approx(0.56), pytest.approx(0.02))


def test_weights_in_the_place_of_a_training_are_no_work(plan, trained):
    run = plan(cam={"trained": str(trained.cam)})
    assert work(run, "train_cam", PHOTO) == Workload()
    assert backbone(run.plan.of("train_cam")[0].record) is None


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("train_cam", {"seed": 4}),
        ("train_cam", {"cam": {"train": {"epochs": 9, "lr": 0.5}}}),
        ("infer_cam", {"cam": {"infer": {"scales": [1, 2, 3]}}}),
        ("export_masks", {"export": {"instance": {"bg_threshold": 0.5}}}),
        ("propagate", {"random_walk": {"beta": 3}}),
        ("infer_irnet", {"irnet": {"infer": {"canvas": 320}}}),
    ],
)
def test_what_leaves_the_speed_as_it_is(plan, stage, changes):
    assert keys(plan(), stage) == keys(plan(**changes), stage)


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("train_cam", {"cam": {"train": {"batch": 4}}}),
        ("train_cam", {"cam": {"train": {"crop": 96}}}),
        ("train_cam", {"cam": {"train": {"threads": 1}}}),
        ("infer_cam", {"cam": {"infer": {"precision": "bf16"}}}),
        ("infer_cam", {"cam": {"backbone": "resnet50"}, "irnet": {"backbone": "resnet50"}}),
        ("propagate", {"random_walk": {"exp_times": 2}}),
        ("mine_relations", {"relations": {"crf": {"iterations": 2}}}),
        ("refine_displacement", {"displacement": {"iterations": 20}}),
    ],
)
def test_what_changes_the_speed(plan, stage, changes):
    assert not keys(plan(), stage) & keys(plan(**changes), stage)


def test_shards_are_equally_fast_and_variants_are_not(plan):
    assert len(keys(plan(), "infer_cam")) == 1
    assert len(keys(plan(), "export_masks")) == 3
    assert len(keys(plan(), "gather_masks")) == 1


def test_a_new_version_is_measured_anew(plan):
    run = plan()
    record = run.plan.of("propagate")[0].record
    newer = dataclasses.replace(record, version=record.version + 1)
    assert speed_key(record, records(run).get) != speed_key(newer, records(run).get)


def test_networks_of_a_weights_file_are_told_by_its_content(plan, trained):
    one = keys(plan(cam={"trained": str(trained.cam)}), "infer_cam")
    other = keys(plan(cam={"trained": str(trained.dark)}), "infer_cam")
    assert one != other != keys(plan(), "infer_cam")
