"""What `status` says before a run: what is there, what is to be done, and why."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from first_stages import ASKED_FOR
from irnet_pipe.cli.main import main
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.differences import Difference, ListChange
from irnet_pipe.recipes import record_path
from irnet_pipe.stage_table import STAGES
from irnet_pipe.status import Reason, StageStatus, Status, status_of
from irnet_pipe.status_report import lines
from irnet_pipe.workflow import PlannedRun, plan_for, prepare

TRAININGS = {"train_cam", "mine_relations", "train_irnet", "calibrate_displacement"}
"""What labelling more images must not reach."""


@pytest.fixture
def photos(photo_set, tmp_path) -> Path:
    """A copy of the tiny data set, which may be changed."""
    return shutil.copytree(photo_set, tmp_path / "photos")


@pytest.fixture
def values(tiny, photos) -> dict:
    """The tiny config without evaluation: an image can be added without ground truth."""
    return merge(tiny, {"dataset": {"root": str(photos), "evaluate": None}, "report": {"images": 1}})


def finish(values: dict) -> PlannedRun:
    """Stand-ins for everything that a run makes."""
    run = prepare(parse_config(values))
    for artifact in run.plan.artifacts:
        path = run.results / artifact.path
        if artifact.stage == "publish":
            folder = Path(run.config.runtime.outputs, run.config.run)
            folder.mkdir(parents=True, exist_ok=True)
            for marker in folder.glob("recipe-*.json"):
                marker.unlink()
            (folder / "masks.json").touch()
            (folder / f"recipe-{artifact.recipe}.json").touch()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return run


def lose(run: PlannedRun, *stages: str) -> None:
    for stage in stages:
        for artifact in run.plan.of(stage):
            (run.results / artifact.path).unlink()


def status(values: dict) -> Status:
    return status_of(plan_for(parse_config(values)))


def of(status: Status, stage: str) -> StageStatus:
    return next(found for found in status.stages if found.stage == stage)


def reasons(status: Status, stage: str) -> set[Reason]:
    """Why artifacts of a stage are missing, whatever recipe is nearest."""
    return {dataclasses.replace(reason, nearest=None) for _, reason in of(status, stage).to_do}


def to_do(status: Status) -> set[str]:
    return {stage.stage for stage in status.stages if stage.to_do}


def from_stage(stage: str) -> set[str]:
    stages = [stage for stage in STAGES if stage not in ASKED_FOR]
    return set(stages[stages.index(stage) :])


def add_photo(photos: Path, image_id: str, *, train: bool, labels: str = "box") -> None:
    Image.new("RGB", (48, 40), "green").save(photos / "images" / f"{image_id}.png")
    with (photos / "labels.csv").open("a", encoding="utf-8") as file:
        file.write(f"{image_id},{labels}\n")
    if train:
        with (photos / "train.txt").open("a", encoding="utf-8") as file:
            file.write(f"{image_id}\n")


def test_before_the_first_run(values):
    found = status(values)
    assert not found.done
    assert {stage.state for stage in found.stages} == {"missing"}
    assert all(reasons(found, stage.stage) == {Reason("new")} for stage in found.stages)
    absent = ("evaluate_cam", "evaluate_masks", *ASKED_FOR)
    assert [stage.stage for stage in found.stages] == [stage for stage in STAGES if stage not in absent]
    assert (of(found, "infer_cam").present, of(found, "infer_cam").total) == (0, 4)


def test_after_a_run(values):
    finish(values)
    found = status(values)
    assert found.done
    assert {stage.state for stage in found.stages} == {"done"}
    assert all(stage.present == stage.total for stage in found.stages)


def test_publication_needs_its_own_marker_and_the_masks(values):
    run = finish(values)
    folder = Path(values["runtime"]["outputs"], "tiny")
    (folder / "masks.json").unlink()
    assert to_do(status(values)) == {"publish"}
    assert reasons(status(values), "publish") == {Reason("lost")}
    (folder / "masks.json").touch()
    (folder / f"recipe-{run.plan.targets[0].recipe}.json").rename(folder / f"recipe-{'0' * 16}.json")
    assert to_do(status(values)) == {"publish"}


def test_changed_key(values):
    finish(values)
    found = status(merge(values, {"random_walk": {"beta": 4}}))
    beta = Difference("random_walk.beta", 10.0, 4.0)
    assert to_do(found) == {
        "propagate",
        "export_masks",
        "draw_thumbnails",
        "gather_masks",
        "report",
        "publish",
    }
    assert reasons(found, "propagate") == {Reason("changed", differences=(beta,))}
    assert reasons(found, "export_masks") == {Reason("parents", parents=("propagate",))}
    assert of(found, "export_masks").state == "partial", "masks of the variant cam are there"
    assert not found.done


def test_value_changed_back_is_published_anew(values):
    finish(values)
    finish(merge(values, {"random_walk": {"beta": 4}}))
    found = status(values)
    assert to_do(found) == {"publish"}
    assert reasons(found, "publish") == {Reason("parents", parents=("gather_masks", "report"))}


def test_nearest_recipe_is_the_one_with_fewest_differences(values):
    near = merge(values, {"random_walk": {"beta": 4}})
    finish(merge(values, {"random_walk": {"beta": 2, "exp_times": 3}}))
    nearest = finish(near).plan.of("propagate")
    finish(merge(values, {"random_walk": {"beta": 2, "exp_times": 4, "radius": 3}}))
    found = of(status(values), "propagate")
    assert {reason.nearest for _, reason in found.to_do} == {artifact.recipe for artifact in nearest}
    assert {str(reason.differences[0]) for _, reason in found.to_do} == {"random_walk.beta 4.0 → 10.0"}


def test_appended_training_image_trains_anew(values, photos):
    finish(values)
    add_photo(photos, "new one", train=True)
    found = status(values)
    assert to_do(found) == from_stage("train_cam") - {"evaluate_cam", "evaluate_masks"}
    (reason,) = reasons(found, "train_cam")
    assert [difference.key for difference in reason.differences] == ["list"]
    assert reason.images == ListChange(new=1, gone=0, changed=0)
    parents = Reason("parents", parents=("train_cam",))
    assert parents in reasons(found, "infer_cam"), "shards that it is not in"
    line = next(line for line in lines(found) if line.startswith("train_cam"))
    assert line.split("  ")[-1] == "images: 1 new"


def test_appended_label_only_image_trains_nothing(values, photos):
    finish(values)
    add_photo(photos, "new one", train=False)
    found = status(values)
    stages = {"infer_cam", "infer_irnet", "refine_displacement", "propagate", "export_masks"}
    assert to_do(found) - {"draw_thumbnails", "gather_masks", "report", "publish"} == stages
    assert not to_do(found) & TRAININGS
    for stage in stages:
        ((reason,), units) = reasons(found, stage), {a.unit for a, _ in of(found, stage).to_do}
        assert reason.images == ListChange(1, 0, 0)
        assert len(units) == 1 and "label-" in units.pop()
    told = "\n".join(lines(found))
    assert "images: 1 new (label-" in told, "counted once, though three variants are made of it"
    assert "3 new" not in told


def test_images_gone_and_changed(values, photos):
    finish(values)
    path = photos / "train.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("gamma\n", ""), encoding="utf-8")
    path = photos / "labels.csv"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"larger",box', '"larger",disc'), encoding="utf-8"
    )
    (reason,) = reasons(status(values), "train_cam")
    assert reason.images == ListChange(new=0, gone=1, changed=1)


def test_old_list_that_is_gone(values, photos):
    run = finish(values)
    shutil.rmtree(run.results / "index")
    add_photo(photos, "new one", train=True)
    found = status(values)
    (reason,) = reasons(found, "train_cam")
    assert reason.images is None
    assert "images: another list" in "\n".join(lines(found))


def test_lost_shard_that_nothing_needs(values):
    lose(finish(values), "infer_cam", "propagate")
    found = status(values)
    assert found.done
    assert to_do(found) == set()
    assert len(of(found, "infer_cam").lost) == 4
    assert (of(found, "infer_cam").state, of(found, "infer_cam").present) == ("done", 0)
    assert "infer_cam" in (line := next(line for line in lines(found) if "infer_cam" in line))
    assert line.endswith("4 lost, not needed")


def test_lost_shard_that_a_late_key_needs(values):
    values = merge(values, {"report": {"images": 0}})  # pictures need relations
    run = finish(values)
    lost, kept = run.plan.of("infer_cam")[0], run.plan.of("mine_relations")[0]
    for artifact in (lost, kept):
        (run.results / artifact.path).unlink()
    found = status(merge(values, {"random_walk": {"beta": 4}}))
    assert [(artifact, reason.kind) for artifact, reason in of(found, "infer_cam").to_do] == [(lost, "lost")]
    assert of(found, "mine_relations").lost == (kept,)
    assert not to_do(found) & TRAININGS


def test_lost_file_that_nothing_is_made_of(values):
    """Nothing but its benchmark tells that it was there."""
    run = finish(values)
    lose(run, "gather_masks")
    Path(run.config.runtime.outputs, "tiny", "masks.json").unlink()
    assert reasons(status(values), "gather_masks") == {Reason("new")}
    for artifact in run.plan.of("gather_masks"):
        benchmark = run.results / "benchmarks" / "gather_masks" / f"all.{artifact.recipe}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.touch()
    assert reasons(status(values), "gather_masks") == {Reason("lost")}


def test_other_number_of_shards(values):
    finish(values)
    found = status(merge(values, {"shards": {"n": 3}}))
    shards = Reason("changed", differences=(Difference("shards.n", 2, 3),))
    assert reasons(found, "infer_cam") == {shards}
    assert not of(found, "train_cam").to_do
    assert reasons(found, "train_irnet") == {Reason("parents", parents=("mine_relations",))}


def test_new_version_of_a_stage(values, monkeypatch):
    finish(values)
    before = STAGES["propagate"]
    monkeypatch.setitem(STAGES, "propagate", dataclasses.replace(before, version=7))
    differences = (Difference("version", before.version, 7),)
    assert reasons(status(values), "propagate") == {Reason("changed", differences=differences)}


def test_recipe_without_record_explains_nothing(values):
    run = finish(values)
    for artifact in run.plan.of("propagate"):
        record_path(run.results, artifact.recipe).unlink()
    found = status(merge(values, {"random_walk": {"beta": 4}}))
    assert reasons(found, "propagate") == {Reason("new")}


def test_new_variant_is_not_compared_with_another_one(values):
    finish(merge(values, {"export": {"variants": ["cam"]}}))
    assert Reason("new") in reasons(status(values), "export_masks")
    assert {reason.kind for reason in reasons(status(values), "export_masks")} == {"new"}


def test_artifacts_that_no_publication_is_made_of_do_not_count(values, photos):
    (photos / "one.txt").write_text("label only\n", encoding="utf-8")
    values = merge(values, {"dataset": {"label": "one.txt"}, "export": {"variants": ["cam"]}})
    run = plan_for(parse_config(values))
    assert len(run.plan.of("infer_cam")) > 1
    assert of(status_of(run), "infer_cam").total == 1


def test_status_writes_nothing_new(values):
    run = finish(values)
    before = sorted(run.results.rglob("*"))
    status(merge(values, {"random_walk": {"beta": 4}}))
    assert sorted(run.results.rglob("*")) == before


@pytest.fixture
def config_file(values, tmp_path):
    def write(changes: dict) -> str:
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump(merge(values, changes)), encoding="utf-8")
        return str(path)

    return write


def test_exit_codes(values, config_file, capsys, tmp_path):
    config = config_file({})
    assert main(["status", "--config", config]) == 1
    assert "jobs to run: 42\n" in capsys.readouterr().out
    finish(values)
    assert main(["status", "--config", config]) == 0
    assert "jobs to run: 0\n" in capsys.readouterr().out
    assert main(["status", "--config", str(tmp_path / "no.yaml")]) == 2


def test_table(values, config_file, capsys):
    finish(values)
    main(["status", "--config", config_file({"random_walk": {"beta": 4}})])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{values['runtime']['outputs']}/tiny: to be published"
    rows = {line.split()[0]: line.split(maxsplit=3)[1:] for line in out[2:]}
    assert rows["train_cam"] == ["done", "1/1"]
    assert rows["propagate"] == ["missing", "0/4", "random_walk.beta 10.0 → 4.0"]
    assert rows["export_masks"] == ["partial", "4/12", "parents: propagate (8 artifacts)"]


def test_json(values, config_file, capsys, photos):
    run = finish(values)
    lost = run.plan.of("mine_relations")[0]
    (run.results / lost.path).unlink()
    add_photo(photos, "new one", train=False)
    assert main(["status", "--json", "--config", config_file({"random_walk": {"beta": 4}})]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["done"] is False
    assert found["publications"] == [{"path": f"{values['runtime']['outputs']}/tiny", "done": False}]
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert found["jobs"] == sum(len(stage["to_do"]) for stage in stages.values()) > 0
    assert stages["mine_relations"] == {
        "stage": "mine_relations",
        "state": "done",
        "total": 2,
        "present": 1,
        "to_do": [],
        "lost": [lost.path],
    }
    (cam,) = stages["infer_cam"]["to_do"]
    assert cam["images"] == {"new": 1, "gone": 0, "changed": 0}
    walk = stages["propagate"]["to_do"][0]
    assert set(walk) == set(cam)
    assert walk["nearest"] in {artifact.recipe for artifact in run.plan.of("propagate")}
    assert {"key": "random_walk.beta", "old": 10.0, "new": 4.0} in walk["differences"]
    assert stages["publish"]["to_do"][0]["parents"] == ["gather_masks", "report"]
