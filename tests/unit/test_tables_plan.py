"""What the tables are made of: settings, one plan, and what is refused before anything runs."""

from __future__ import annotations

import json
from collections import Counter
from typing import get_args

import pytest

from first_stages import plan_of
from irnet_pipe import table_rows as rows
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.config.section import Variant
from irnet_pipe.config.segmenters import MaskSource
from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.tables import RAW_CAM
from irnet_pipe.plan import Plan
from irnet_pipe.table_rows import ROWS, TABLES, Row
from irnet_pipe.validate import validate
from irnet_pipe.workflow import plan_tables_for
from table_scores import UNSEEN, TablesRun, with_tables

SHARDS = 2


@pytest.fixture
def tables(tiny, tmp_path):
    """Plan the tables of the tiny run, with keys of their section."""
    return lambda **keys: TablesRun(with_tables(tiny, tmp_path, **keys))


def recipes(plan: Plan, stage: str | None = None) -> set[str]:
    return {artifact.recipe for artifact in plan.artifacts if stage in (None, artifact.stage)}


def problems(values: dict) -> list[str]:
    with pytest.raises(InputError) as caught:
        plan_tables_for(parse_config(values))
    return caught.value.problems


def test_scores_and_what_they_are_made_of_and_nothing_else(tables):
    plan = tables().run.plan
    trained = len([row for row in ROWS if TABLES[row.table].segmenter])
    found = Counter(artifact.stage for artifact in plan.artifacts)
    assert found["evaluate_cam"] == 1
    assert (
        found["evaluate_masks"]
        == len({row.masks for row in ROWS if row.table in ("instance", "semantic")} - {RAW_CAM}) + trained
    )
    assert found["train_cam"] == found["train_irnet"] == found["publish"] == 1
    assert found["train_maskrcnn"] + found["train_deeplab"] == trained
    assert not {"gather_masks", "report"} & found.keys()


def test_masks_that_are_scored_are_those_that_segmenters_learn_from(tables):
    plan = tables(rows=["instance_full", "semantic_full", "maskrcnn_full", "deeplab_full"]).run.plan
    assert len(plan.of("export_masks")) == SHARDS
    for stage in ("train_maskrcnn", "train_deeplab"):
        (training,) = plan.of(stage)
        assert set(training.parents) == {*plan.of("train_cam"), *plan.of("export_masks")}


def test_what_an_ordinary_run_makes_serves_the_tables(tables, tiny):
    ordinary = plan_of(merge(tiny, {"dataset": {"label": None}}))
    plan = tables(rows=["semantic_cam", "instance_boundary", "instance_full"]).run.plan
    shared = {"evaluate_cam", "evaluate_masks", "export_masks", "propagate", "train_irnet", "infer_cam"}
    assert all(recipes(plan, stage) <= recipes(ordinary, stage) for stage in shared)


def test_seeds_differ_in_all_that_is_trained(tables):
    alone = [tables(seeds=[seed]).run.plan for seed in (0, 3)]
    both = tables(seeds=[0, 3])
    without = [recipes(plan) - recipes(plan, "publish") for plan in alone]
    assert recipes(both.run.plan) - recipes(both.run.plan, "publish") == set.union(*without)
    assert not set.intersection(*without)
    assert both.publication.spec["cells"]["maskrcnn_full"].keys() == {"0", "3"}


def test_cells_name_the_scores(tables):
    run = tables()
    cells = run.publication.spec["cells"]
    assert cells.keys() == {row.name for row in ROWS}
    for row in ROWS:
        scores = run.scores(row.name)
        assert scores in run.run.plan.targets[0].parents
        assert scores.record.spec.get("variant", RAW_CAM) == row.variant


def test_pseudo_masks_are_scored_on_training_images_and_segmenters_on_others(tables):
    run = tables()
    lists = run.run.image_lists

    def images(row: str) -> set[str]:
        return {entry.image_id for digest in run.scores(row).images for entry in lists[digest]}

    training = {entry.image_id for entry in run.run.index.train}
    assert images("instance_full") == images("semantic_cam") == training
    assert images("maskrcnn_full") == images("deeplab_truth") == set(UNSEEN)


def test_training_images_that_are_dropped_are_not_scored(tiny, tmp_path):
    run = TablesRun(with_tables(merge(tiny, {"dataset": {"negatives": "drop"}}), tmp_path))
    units = run.scores("instance_full").images
    assert "gamma" not in {entry.image_id for unit in units for entry in run.run.image_lists[unit]}


def test_pseudo_masks_may_be_scored_on_other_images(tables, tmp_path):
    (tmp_path / "two.txt").write_text("beta\nlabel only\n", encoding="utf-8")
    run = tables(pseudo_images=str(tmp_path / "two.txt"))
    images = {
        entry.image_id for unit in run.scores("instance_cam").images for entry in run.run.image_lists[unit]
    }
    assert images == {"beta", "label only"}


def test_segmenters_are_scored_on_evaluated_images_by_default(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, segmenter_images=None)
    values["dataset"]["evaluate"] = str(tmp_path / "unseen.txt")
    run = TablesRun(values)
    units = run.scores("maskrcnn_cam").images
    assert {entry.image_id for unit in units for entry in run.run.image_lists[unit]} == set(UNSEEN)


def test_figures_of_the_tables_do_not_depend_on_the_thresholds_of_the_run(tables, tiny, tmp_path):
    values = with_tables(merge(tiny, {"evaluation": {"iou": [0.5]}}), tmp_path)
    assert recipes(TablesRun(values).run.plan) == recipes(tables().run.plan)


def test_one_row_plans_what_it_needs(tables):
    run = tables(rows=["semantic_cam"])
    stages = {artifact.stage for artifact in run.run.plan.artifacts}
    assert stages == {"train_cam", "infer_cam", "evaluate_cam", "publish"}


def test_a_row_is_one_entry(tables, monkeypatch):
    added = Row("semantic_walk", "semantic", "CAM with a walk", "boundary", {"mIoU": 12.5})
    learnt = Row("deeplab_walk", "deeplab", "CAM with a walk", "boundary")
    monkeypatch.setattr(rows, "ROWS", (*ROWS, added, learnt))
    run = tables(rows=["semantic_walk", "deeplab_walk"])
    assert run.scores("semantic_walk").record.spec["variant"] == "boundary"
    assert run.scores("deeplab_walk").record.spec["variant"] == "deeplab_boundary"


def test_rows_name_masks_that_can_be_made():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        known = get_args(MaskSource) if TABLES[row.table].segmenter else (*get_args(Variant), RAW_CAM)
        assert row.masks in known, row.name
        assert row.published.keys() <= set(TABLES[row.table].figures), row.name


def test_no_plan_without_seeds(tiny, tmp_path):
    (told,) = problems(with_tables(tiny, tmp_path, seeds=[]))
    assert told == "tables.seeds names no seed; set it, for instance tables: {seeds: [0]}"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rows": ["maskrcnn_ful"]}, "rows: maskrcnn_ful: no such row; the rows are instance_cam, "),
        ({"rows": []}, "tables.rows is []"),
        ({"seeds": [1, 1]}, "seeds [1, 1] holds a seed twice"),
        ({"seeds": [-1]}, "tables.seeds.0 is -1"),
    ],
)
def test_keys_that_are_refused(tiny, tmp_path, keys, message):
    told = problems(with_tables(tiny, tmp_path, **keys))
    assert any(message in problem for problem in told), told


def test_tables_show_one_setting(tiny, tmp_path):
    values = with_tables(tiny, tmp_path) | {"sweep": {"random_walk.beta": [8, 10]}}
    assert problems(values) == [
        "tables and sweep are in one config, but tables show one setting; take sweep out"
    ]


def test_segmenters_need_images(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, segmenter_images=None, rows=["instance_cam", "deeplab_cam"])
    values["dataset"]["evaluate"] = None
    (told,) = problems(values)
    assert told.startswith("tables.segmenter_images: row deeplab_cam: no images to score a segmenter on")
    del values["tables"]["rows"][1]
    assert TablesRun(values).scores("instance_cam")


def test_segmenters_are_not_scored_on_training_images(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, segmenter_images="all")
    assert "tables.segmenter_images: 5 of 8 images are training images" in problems(values)[0]
    with pytest.raises(InputError, match="5 of 8 images are training images"):
        validate(parse_config(values))


def test_keys_of_a_segmenter_that_do_not_go_together_name_the_row(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, rows=["maskrcnn_cam"])
    values["maskrcnn"]["backbone"] = "resnet34"
    (told,) = problems(values)
    assert told.startswith("tables, row maskrcnn_cam: maskrcnn.weights: cam takes the classifier's features")


# --- ground truth that is missing


def without_truth_of(truth: str, *image_ids: str) -> str:
    """The tiny ground truth without some images."""
    content = json.loads(truth)
    content["images"] = [
        image for image in content["images"] if image["file_name"].removesuffix(".png") not in image_ids
    ]
    known = {image["id"] for image in content["images"]}
    content["annotations"] = [note for note in content["annotations"] if note["image_id"] in known]
    return json.dumps(content)


@pytest.mark.parametrize(
    ("missing", "rows", "row", "key"),
    [
        ("beta", ["instance_cam", "maskrcnn_cam"], "row instance_cam", "tables.pseudo_images"),
        ("label only", ["instance_cam", "maskrcnn_cam"], "row maskrcnn_cam", "tables.segmenter_images"),
        ("beta", ["maskrcnn_cam", "maskrcnn_truth"], "row maskrcnn_truth", "tables.rows"),
    ],
)
def test_missing_ground_truth_names_row_and_key(tiny, tmp_path, photo_set, missing, rows, row, key):
    truth = (photo_set / "truth.json").read_text(encoding="utf-8")
    (tmp_path / "truth.json").write_text(without_truth_of(truth, missing), encoding="utf-8")
    values = with_tables(tiny, tmp_path, rows=rows)
    values["dataset"] |= {"ground_truth": str(tmp_path / "truth.json"), "evaluate": None}
    (told,) = problems(values)
    assert f"image {missing!r}" in told and row in told and key in told, told
    with pytest.raises(InputError) as caught:
        validate(parse_config(values))
    assert told in caught.value.problems


def test_a_row_that_needs_no_such_ground_truth_is_planned_without(tiny, tmp_path, photo_set):
    truth = (photo_set / "truth.json").read_text(encoding="utf-8")
    (tmp_path / "truth.json").write_text(without_truth_of(truth, "beta"), encoding="utf-8")
    values = with_tables(tiny, tmp_path, rows=["maskrcnn_cam", "deeplab_full"])
    values["dataset"] |= {"ground_truth": str(tmp_path / "truth.json"), "evaluate": None}
    assert TablesRun(values).scores("maskrcnn_cam")


def test_no_ground_truth_at_all(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, rows=["semantic_full"])
    values["dataset"] |= {"ground_truth": str(tmp_path / "nowhere.json"), "evaluate": None}
    (told,) = problems(values)
    assert (
        "nowhere.json: no such file or folder" in told
        and "leave row semantic_full out of tables.rows" in told
    )


def test_validate_tells_the_trainings_of_the_tables(tiny, tmp_path):
    values = with_tables(tiny, tmp_path, rows=["instance_cam", "maskrcnn_truth"], seeds=[0, 1])
    lines = validate(parse_config(values))
    assert "tables: maskrcnn_truth (2 seeds)" in lines
    assert any(
        line.startswith("maskrcnn.train: 18000 steps") and "learnt from truth" in line for line in lines
    )
