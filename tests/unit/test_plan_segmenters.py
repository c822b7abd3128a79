"""What segmenters add to a plan, and that they leave alone what is there without them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from first_stages import changed, plan_of
from irnet_pipe.config import Config, parse_config
from irnet_pipe.config.segmenters import Segmenter
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.errors import InputError
from irnet_pipe.index import Index, Truth
from irnet_pipe.outside_files import OutsideFile
from irnet_pipe.plan import Plan
from irnet_pipe.planner import image_lists, make_plan
from irnet_pipe.stage_table import SEGMENTERS
from irnet_pipe.workflow import prepare

SEGMENTER_STAGES = {"train_maskrcnn", "infer_maskrcnn"}


def entry(image_id: str) -> ImageEntry:
    return ImageEntry(image_id, f"{image_id}.png", 32, 32, (0,), "d")


TRAIN = [entry(f"t{i}") for i in range(12)]
LABEL = [entry(f"l{i}") for i in range(12)]
TRUTH = Truth("e" * 16, frozenset({"l1"}))


def make_index(label: list[ImageEntry], **changes: object) -> Index:
    index = Index(("box", "disc"), tuple(sorted(TRAIN)), tuple(sorted(label)), TRUTH, {})
    return dataclasses.replace(index, **changes)


def config(**paths: object) -> Config:
    return parse_config(changed({"shards": {"n": 2}, "dataset": {"root": "."}}, **paths))


def with_maskrcnn(**paths: object) -> Config:
    return config(segmenters=["maskrcnn"], **paths)


def recipes(plan: Plan, *stages: str) -> set[str]:
    return {artifact.recipe for artifact in plan.artifacts if artifact.stage in stages}


def images_of(plan: Plan, stage: str, lists: dict) -> set[str]:
    return {e.image_id for artifact in plan.of(stage) for digest in artifact.images for e in lists[digest]}


def test_what_is_there_without_segmenters_stays_as_it_is():
    index = make_index(TRAIN[:5] + LABEL)
    before, after = make_plan(config(), index), make_plan(with_maskrcnn(), index)
    assert not {artifact.stage for artifact in before.artifacts} & SEGMENTER_STAGES
    joint = {"report", "publish"}
    kept = {a.recipe for a in before.artifacts if a.stage not in joint}
    assert kept < {a.recipe for a in after.artifacts}
    assert not recipes(before, *joint) & recipes(after, *joint)


@pytest.mark.parametrize("label", [TRAIN, TRAIN[:5] + LABEL, LABEL])
def test_a_segmenter_learns_on_all_training_images_labelled_or_not(label):
    values, index = with_maskrcnn(), make_index(label)
    plan, lists = make_plan(values, index), image_lists(values, index)
    (training,) = plan.of("train_maskrcnn")
    masks = [parent for parent in training.parents if parent.stage == "export_masks"]
    assert {e.image_id for mask in masks for e in lists[mask.images[0]]} == {e.image_id for e in TRAIN}
    assert {mask.record.spec["variant"] for mask in masks} == {"full"}
    assert images_of(plan, "infer_maskrcnn", lists) == {e.image_id for e in label}
    extra = {mask.recipe for mask in masks} - recipes(make_plan(config(), index), "export_masks")
    assert bool(extra) == (label is not TRAIN)


def test_config_and_stages_name_the_same_segmenters():
    assert get_args(Segmenter) == SEGMENTERS


def test_segmenters_share_the_masks_that_they_learn_from():
    index = make_index(LABEL)
    one = make_plan(with_maskrcnn(), index)
    both = make_plan(config(segmenters=SEGMENTERS), index)
    assert recipes(one, "export_masks") == recipes(both, "export_masks")
    assert recipes(one, *SEGMENTER_STAGES) == recipes(both, *SEGMENTER_STAGES)
    assert len(both.of("train_deeplab")) == 1 and len(both.of("infer_deeplab")) == len(
        both.of("infer_maskrcnn")
    )
    scored = [a.record.spec["variant"] for a in both.of("evaluate_masks")]
    assert scored == ["full", "maskrcnn_full", "deeplab_full"]


def test_labelling_more_images_trains_no_segmenter_anew():
    plans = [make_plan(with_maskrcnn(), make_index(label)) for label in (TRAIN, TRAIN[:5] + LABEL)]
    assert len({plan.of("train_maskrcnn")[0].recipe for plan in plans}) == 1


def test_report_shows_masks_of_labelled_images_alone():
    plan = make_plan(with_maskrcnn(), make_index(TRAIN[:5] + LABEL))
    (report,) = plan.of("report")
    shown = [parent for parent in report.parents if parent.stage in ("export_masks", "refine_displacement")]
    assert len({(parent.stage, parent.unit) for parent in shown}) == len(shown)
    assert {parent.stage for parent in report.parents} >= SEGMENTER_STAGES


@pytest.mark.parametrize("source", ["cam", "boundary", "full", "truth"])
def test_sources(source):
    plan = make_plan(
        with_maskrcnn(maskrcnn__train__source=source),
        make_index(TRAIN, train_truth=Truth("f" * 16, frozenset())),
    )
    (training,) = plan.of("train_maskrcnn")
    variants = {parent.record.spec["variant"] for parent in training.parents}
    assert variants == (set() if source == "truth" else {source})
    assert training.record.spec.get("truth") == ("f" * 16 if source == "truth" else None)
    name = f"maskrcnn_{source}"
    assert {a.record.spec["variant"] for a in plan.of("infer_maskrcnn")} == {name}
    first, last = (a.record.spec for a in plan.of("gather_masks"))
    assert (first["variant"], first["learnt_from"], last["variant"]) == (name, source, "full")
    first, last = (a.record.spec for a in plan.of("evaluate_masks"))
    assert (first["variant"], last["variant"], last["learnt_from"]) == ("full", name, source)
    assert plan.of("report")[0].record.spec["learnt_from"] == {name: source}
    assert training in plan.targets[0].parents


def test_weights_of_the_classifier():
    values = with_maskrcnn(maskrcnn__weights="cam")
    (training,) = make_plan(values, make_index(TRAIN)).of("train_maskrcnn")
    assert training.parents[0].stage == "train_cam"


def test_weights_from_a_file_count_by_content():
    def recipe(path: str, digest: str) -> str:
        files = {"maskrcnn.weights": OutsideFile(path, digest)}
        plan = make_plan(with_maskrcnn(maskrcnn__weights=path), make_index(TRAIN, files=files))
        return plan.of("train_maskrcnn")[0].recipe

    assert recipe("/a.pth", "1" * 16) == recipe("/b.pth", "1" * 16) != recipe("/a.pth", "2" * 16)


def test_sources_in_one_run_share_all_else(tiny):
    tiny |= {"segmenters": ["maskrcnn"], "sweep": {"maskrcnn.train.source": ["cam", "full", "truth"]}}
    plan = plan_of(tiny)
    assert len(plan.of("train_maskrcnn")) == 3 and len(plan.of("train_irnet")) == 1
    assert len(plan.targets) == 4, "one a source, and the settings side by side"


# --- ground truth to learn from


def test_truth_of_training_images_is_indexed_when_asked_for(tiny):
    tiny |= {"segmenters": ["maskrcnn"]}
    tiny["dataset"]["evaluate"] = None
    assert prepare(parse_config(tiny)).index.train_truth is None
    run = prepare(parse_config(changed(tiny, maskrcnn__train__source="truth")))
    labelled = {entry.image_id for entry in run.index.train if entry.labels}
    assert run.index.truth is None and run.index.train_truth.image_ids == labelled
    assert run.truths == {run.index.train_truth.digest}


def test_source_that_nobody_asks_for_needs_no_truth(tiny):
    tiny["dataset"] |= {"evaluate": None, "ground_truth": "nowhere.json"}
    assert plan_of(changed(tiny, maskrcnn__train__source="truth")).of("publish")


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (
            "nowhere.json",
            "nowhere.json: no such file or folder; set dataset.ground_truth to where it lies, or "
            "maskrcnn.train.source: full",
        ),
        (
            "empty.json",
            "has no image of this file_name, but image 'beta' is to be learnt from (maskrcnn.train.source: truth); "
            "add the ground truth, or set maskrcnn.train.source to a variant such as full",
        ),
        (None, "has no SegmentationClass and no SegmentationObject; set dataset.ground_truth"),
    ],
)
def test_missing_truth_names_the_key(tiny, tmp_path, truth, message):
    (tmp_path / "empty.json").write_text('{"images": [], "annotations": [], "categories": []}')
    tiny["dataset"] |= {"evaluate": None, "ground_truth": truth and str(tmp_path / truth)}
    values = changed(tiny, segmenters=["maskrcnn"], maskrcnn__train__source="truth")
    with pytest.raises(InputError) as caught:
        plan_of(values)
    assert any(message in text for text in caught.value.problems), caught.value.problems
    assert not Path(tiny["runtime"]["results"], "recipes").exists()


# --- keys that do not go together


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"segmenters": ["maskrcnn", "maskrcnn"]}, "segmenters ['maskrcnn', 'maskrcnn'] holds one twice"),
        ({"segmenters": ["unet"]}, "segmenters.0 is 'unet'"),
        ({"maskrcnn.weights": "none"}, "maskrcnn: weights: none with train.freeze: layer1 cannot learn"),
        (
            {"maskrcnn.weights": "none", "maskrcnn.train.freeze": "none"},
            "maskrcnn: weights: none with train.batch_norm: running cannot learn",
        ),
        (
            {"segmenters": ["maskrcnn"], "maskrcnn.weights": "cam", "maskrcnn.backbone": "resnet18"},
            "maskrcnn.backbone (resnet18) must be cam.backbone (resnet50)",
        ),
        ({"deeplab.weights": "none"}, "deeplab: weights: none with train.freeze: layer1 cannot learn"),
        ({"deeplab.train.scale": [2, 1]}, "scale [2.0, 1.0] must be [low, high]"),
        ({"deeplab.train.batch": 1}, "deeplab.train.batch is 1"),
        ({"maskrcnn.train.max_side": 500}, "max_side 500 is below short_side 512"),
        ({"maskrcnn.train.milestones": [5, 5]}, "milestones [5, 5] must be above 0 and ascend"),
    ],
)
def test_keys_that_do_not_go_together(paths, message):
    with pytest.raises(InputError) as caught:
        config(**paths)
    assert any(message in text for text in caught.value.problems), caught.value.problems


def test_presets():
    paper = parse_config({"preset": "paper_log"}).maskrcnn
    assert (paper.train.lr, paper.train.batch, paper.train.iterations) == (0.01, 4, 18_000)
    assert (paper.train.milestones, paper.train.short_side) == ((12_000, 16_000), (512, 512))
    assert (paper.train.max_side, paper.infer.max_side, paper.infer.nms) == (800, 800, 0.5)
    deeplab = parse_config({"preset": "paper_default"}).deeplab.train
    assert (deeplab.crop, deeplab.schedule) == (513, "polynomial")
    small = parse_config({"preset": "small"})
    assert small.maskrcnn.infer.short_side == small.maskrcnn.train.short_side[1] == 160
    assert small.deeplab.train.crop == 160
    assert small.cam == parse_config({}).cam
