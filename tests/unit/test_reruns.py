"""What runs again after a change: all that depends on it, and nothing else; by the plan, with files standing in."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from first_stages import FIRST_STAGES, changed
from irnet_pipe.config.documents import is_runtime
from irnet_pipe.config.keys import leaves
from irnet_pipe.errors import InputError
from irnet_pipe.plan import Artifact
from irnet_pipe.shards import shard_of
from irnet_pipe.stage_table import STAGES
from reruns import StandIns

SHARDS = 2
VARIANTS = 3
ONE_SHARD = Counter(
    infer_cam=1,
    infer_irnet=1,
    refine_displacement=1,
    propagate=1,
    export_masks=VARIANTS,
    draw_thumbnails=1,
    gather_masks=VARIANTS,
    evaluate_cam=1,
    evaluate_masks=VARIANTS,
    report=1,
    publish=1,
)
"""What a change of one image that is only labelled makes run."""


def stages(artifacts: list[Artifact]) -> Counter[str]:
    return Counter(artifact.stage for artifact in artifacts)


@pytest.fixture
def run(tiny, photo_set, tmp_path) -> StandIns:
    return StandIns.finished(tiny, photo_set, tmp_path)


def root_of(run: StandIns) -> Path:
    return Path(run.values["dataset"]["root"])


def add_photo(run: StandIns, image_id: str, labels: str) -> None:
    root = root_of(run)
    Image.new("RGB", (48, 40), "green").save(root / "images" / f"{image_id}.png")
    with (root / "labels.csv").open("a", encoding="utf-8") as file:
        file.write(f"{image_id},{labels}\n")
    truth = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    truth["images"].append({"id": 99, "file_name": f"{image_id}.png", "height": 40, "width": 48})
    (root / "truth.json").write_text(json.dumps(truth), encoding="utf-8")


def replace_photo(run: StandIns, image_id: str) -> None:
    """Other bytes of the same size under the same name."""
    path = root_of(run) / "images" / f"{image_id}.png"
    with Image.open(path) as photo:
        size = photo.size
    Image.new("RGB", size, "purple").save(path)


def replace_text(run: StandIns, name: str, old: str, new: str) -> None:
    path = root_of(run) / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --- nothing runs again


def test_a_finished_run_is_finished(run):
    assert run.missing() == []


def test_shuffled_keys(run):
    def reverse(value: object) -> object:
        return {key: reverse(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    run.values = reverse(run.values)
    assert next(iter(run.values)) != "run"
    assert run.missing() == []


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("random_walk.beta", 10, ["10", "1e1", 10.0]),
        ("cam.train.lr", 0.1, ["1e-1", "0.1", ".1", 1e-1]),
        ("cam.train.epochs", 2, ["2", 2.0]),
        ("cam.infer.scales", [1, 0.5], [(1, 0.5), ["1", "5e-1"], [1.0, 0.50]]),
        ("evaluation.iou", [0.5], [["5e-1"], (0.5,)]),
        ("export.variants", ["cam", "full"], [("cam", "full")]),
        ("cam.weights", None, ["none", "None", "null"]),
        ("dataset.working_long_side", 64, ["64", 64.0]),
        ("dataset.working_long_side", None, ["none"]),
        ("dataset.classes", ["box", "disc"], [("box", "disc")]),
        ("irnet.train.scale", [1, 1.5], [("1", 1.5), [1.0, "1.50"]]),
        ("seed", 7, ["7", 7.0]),
        ("export", {"variants": ["full"]}, [{"variants": ["full"], "instance": None, "semantic": {}}]),
    ],
)
def test_equal_values_written_differently(run, path, value, same):
    values = run.values
    run.values = changed(values, **{path: value})
    recipe = run.plan().targets[0].recipe
    for written in same:
        run.values = changed(values, **{path: written})
        assert run.plan().targets[0].recipe == recipe, written


def test_defaults_written_out(run):
    recipe = run.plan().targets[0].recipe
    sections = {
        "random_walk": {"radius": 5, "beta": 10, "exp_times": 8},
        "relations": {"crf": {"iterations": 10}},
    }
    run.values = changed(run.values, **sections)
    assert run.plan().targets[0].recipe == recipe


def test_results_that_were_moved(run, tmp_path):
    for name in ("results", "outputs"):
        place = shutil.move(run.values["runtime"][name], tmp_path / f"moved {name}")
        run.values["runtime"][name] = str(place)
    assert run.missing() == []


def test_photos_that_were_moved(run, tmp_path):
    run.values["dataset"]["root"] = str(root_of(run).rename(tmp_path / "moved photos"))
    assert run.missing() == []


def test_lost_intermediates_are_not_missed(run):
    plan = run.plan()
    for artifact in plan.artifacts:
        if artifact not in (plan.targets[0], *plan.targets[0].parents):
            run.path(artifact).unlink()
    assert run.missing() == []


# --- what depends on a change runs again


@pytest.mark.parametrize("stage", STAGES)
def test_a_bumped_stage_and_all_below_it(run, stage, monkeypatch):
    def below(artifact: Artifact) -> bool:
        return artifact.stage == stage or any(map(below, artifact.parents))

    monkeypatch.setitem(STAGES, stage, dataclasses.replace(STAGES[stage], version=99))
    assert set(run.missing()) == {artifact for artifact in run.plan().artifacts if below(artifact)}


def test_a_value_changed_and_changed_back(run):
    run.values = changed(run.values, random_walk__beta=4)
    variants = VARIANTS - 1
    assert stages(run.missing()) == Counter(
        propagate=2 * SHARDS,
        export_masks=2 * SHARDS * variants,
        draw_thumbnails=2 * SHARDS,
        gather_masks=variants,
        evaluate_masks=variants,
        report=1,
        publish=1,
    )
    run.make()
    run.values = changed(run.values, random_walk__beta=10)
    assert stages(run.missing()) == {"publish": 1}


def test_a_lost_shard_is_made_again_once_a_late_key_wants_it(run):
    lost = next(artifact for artifact in run.plan().of("infer_cam") if artifact.unit.startswith("train"))
    run.path(lost).unlink()
    run.values = changed(run.values, random_walk__beta=4)
    missing = run.missing()
    assert [artifact for artifact in missing if artifact.stage == "infer_cam"] == [lost]
    late = {
        "propagate",
        "export_masks",
        "draw_thumbnails",
        "gather_masks",
        "evaluate_masks",
        "report",
        "publish",
    }
    assert set(stages(missing)) == late | {"infer_cam"}


def test_more_shards(run):
    run.values = changed(run.values, shards__n=4)
    run.make()
    trained = {run.path(artifact) for artifact in run.plan().of("train_cam")}
    run.values = changed(run.values, shards__n=8)
    missing, plan = run.missing(), run.plan()
    assert {run.path(artifact) for artifact in plan.of("train_cam")} == trained
    assert set(missing) == set(plan.artifacts) - set(plan.of("train_cam"))
    assert "train_irnet" in stages(missing)


# --- images


def units(artifacts: list[Artifact]) -> set[str]:
    return {artifact.unit for artifact in artifacts} - {"all"}


def unit_of(image_id: str) -> str:
    return f"label-{shard_of(image_id, SHARDS):02d}-of-{SHARDS:02d}"


def test_an_image_to_be_labelled_is_appended(run):
    add_photo(run, "new", "box")
    missing = run.missing()
    assert (stages(missing), units(missing)) == (ONE_SHARD, {unit_of("new")})


def remove_photo(run: StandIns, image_id: str, labels: str) -> None:
    (root_of(run) / "images" / f"{image_id}.png").unlink()
    replace_text(run, "labels.csv", f'"{image_id}",{labels}\n', "")


def test_an_image_to_be_labelled_is_removed(run):
    remove_photo(run, "100% sure", "disc")
    missing = run.missing()
    assert (stages(missing), units(missing)) == (ONE_SHARD, {unit_of("100% sure")})


def test_the_last_image_of_a_shard_is_removed(run):
    remove_photo(run, "label only", "box;disc")
    assert stages(run.missing()) == Counter(
        gather_masks=VARIANTS, evaluate_cam=1, evaluate_masks=VARIANTS, report=1, publish=1
    )


def test_an_image_to_be_labelled_is_replaced(run):
    replace_photo(run, "label only")
    missing = run.missing()
    assert (stages(missing), units(missing)) == (ONE_SHARD, {unit_of("label only")})


def test_an_image_to_be_labelled_gets_other_labels(run):
    replace_text(run, "labels.csv", '"label only",box;disc\n', '"label only",disc\n')
    missing = run.missing()
    assert (stages(missing), units(missing)) == (ONE_SHARD, {unit_of("label only")})


def test_a_training_image_is_appended(run):
    add_photo(run, "new", "box")
    with (root_of(run) / "train.txt").open("a", encoding="utf-8") as file:
        file.write("new\n")
    assert set(run.missing()) == set(run.plan().artifacts)


def test_a_training_image_is_replaced(run):
    replace_photo(run, "beta")
    assert set(run.missing()) == set(run.plan().artifacts)


# --- keys of the data set: `FIRST_STAGES` gives some of them a value that leads to the same images


def folders_and_table(run: StandIns) -> None:
    """Photos in folders named after classes, and a table that says otherwise."""
    rows = []
    for name in ("box", "disc"):
        path = root_of(run) / "sorted" / name / "photo.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (48, 40), "green").save(path)
        rows.append(f"{name}/photo,box;disc")
    (root_of(run) / "labels.csv").write_text("\n".join(["image_id,labels", *rows]), encoding="utf-8")
    run.values["dataset"] |= {"format": "csv", "photos": "sorted", "train": "all", "evaluate": None}


def other_photos(run: StandIns) -> None:
    shutil.copytree(root_of(run) / "images", root_of(run) / "others")
    Image.new("RGB", (64, 48), "red").save(root_of(run) / "others" / "beta.png")


def other_labels(run: StandIns) -> None:
    shutil.copy(root_of(run) / "labels.csv", root_of(run) / "others.csv")
    replace_text(run, "others.csv", '"beta",box;disc', '"beta",disc')


def no_row(run: StandIns) -> None:
    replace_text(run, "labels.csv", '"label only",box;disc\n', "")
    run.values["dataset"]["missing"] = "predict"


OTHER_DATA = {
    "dataset.format": ("folders", folders_and_table),
    "dataset.photos": ("others", other_photos),
    "dataset.labels": ("others.csv", other_labels),
    "dataset.missing": ("negative", no_row),
}


@pytest.mark.parametrize("path", OTHER_DATA)
def test_keys_that_lead_to_other_data(run, path):
    value, prepare = OTHER_DATA[path]
    prepare(run)
    before = run.plan().targets[0].recipe
    run.values = changed(run.values, **{path: value})
    assert run.plan().targets[0].recipe != before


def test_photos_above_the_bound_of_pixels_are_refused(run):
    run.values = changed(run.values, dataset__max_pixels=1000)
    with pytest.raises(InputError, match="max_pixels"):
        run.plan()


def test_every_key_that_may_lead_to_equal_data_is_tested_with_other_data():
    science = {path for path, field in leaves() if not is_runtime(field)}
    silent = {path for path in science if not FIRST_STAGES[path][1]}
    # the tables are no part of a run
    tables = {path for path in science if path.startswith("tables.")}
    assert silent == OTHER_DATA.keys() | {"dataset.max_pixels"} | tables
