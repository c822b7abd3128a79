"""Which artifacts a config needs, and which of them a change touches."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from first_stages import FIRST_STAGES, changed, first_changes, plan_of, values_before_and_after
from irnet_pipe.config import Config, parse_config
from irnet_pipe.config.documents import is_runtime
from irnet_pipe.config.keys import leaves
from irnet_pipe.data.image_list import ImageEntry, list_digest
from irnet_pipe.index import Index, Truth
from irnet_pipe.outside_files import OutsideFile
from irnet_pipe.plan import Plan
from irnet_pipe.planner import image_lists, make_plan, report_images
from irnet_pipe.shards import shard_of
from irnet_pipe.stage_table import STAGES


def test_every_key_of_the_config_is_in_the_table():
    assert set(FIRST_STAGES) == {path for path, _ in leaves()}


@pytest.mark.parametrize("path", FIRST_STAGES)
def test_first_stages_that_a_key_changes(path, tiny, photo_set, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # runtime.results is relative to the current folder
    before, after = values_before_and_after(path, tiny, photo_set, trained, folder=tmp_path)
    assert first_changes(plan_of(before), plan_of(after)) == set(FIRST_STAGES[path][1])


@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("seed", {"train_cam", "train_irnet"}),
        ("dataset.working_long_side", {"infer_cam", "mine_relations", "train_irnet", "infer_irnet"}),
    ],
)
def test_keys_that_several_stages_read(path, readers, tiny):
    specs = {artifact.stage: artifact.record.spec["config"] for artifact in plan_of(tiny).artifacts}
    assert {stage for stage, settings in specs.items() if path in settings} == readers


def test_runtime_keys_change_no_recipe_but_the_publication():
    reach = {path for path, (_, stages) in FIRST_STAGES.items() if not set(stages) - {"publish"}}
    assert {path for path, field in leaves() if is_runtime(field)} <= reach | {"preset"}


# --- hand-made indexes


def entry(image_id: str, labels: tuple[int, ...] | None = (0,), digest: str = "d") -> ImageEntry:
    return ImageEntry(image_id, f"{image_id}.png", 32, 32, labels, digest)


def make_index(train: list[ImageEntry], label: list[ImageEntry], **changes: object) -> Index:
    index = Index(("box", "disc"), tuple(sorted(train)), tuple(sorted(label)), None, {})
    return dataclasses.replace(index, **changes)


def config(**paths: object) -> Config:
    values = changed({"shards": {"n": 4}, "dataset": {"root": "."}}, **paths)
    return parse_config(values)


TRAIN = [entry(f"t{i}") for i in range(12)]
LABEL = [entry(f"l{i}") for i in range(12)]


def recipes(plan: Plan, *stages: str) -> set[str]:
    return {artifact.recipe for artifact in plan.artifacts if artifact.stage in stages}


def needed(plan: Plan) -> set[str]:
    """Stages that the target is made of."""
    found, todo = {}, [plan.targets[0]]
    while todo:
        artifact = todo.pop()
        if artifact.recipe not in found:
            found[artifact.recipe] = artifact.stage
            todo += artifact.parents
    return set(found.values())


def test_labelling_more_images_leaves_training_and_calibration_alone():
    before = make_plan(config(), make_index(TRAIN, TRAIN + LABEL[:5]))
    after = make_plan(config(), make_index(TRAIN, TRAIN + LABEL))
    stages = ("train_cam", "mine_relations", "train_irnet", "calibrate_displacement")
    assert recipes(before, *stages) == recipes(after, *stages)
    of_training = [{a.recipe for a in plan.artifacts if "train-" in a.unit} for plan in (before, after)]
    assert of_training[0] == of_training[1]


def test_an_appended_image_touches_its_own_shard_alone():
    before = make_plan(config(), make_index(TRAIN, LABEL[:-1]))
    after = make_plan(config(), make_index(TRAIN, LABEL))
    new = {a.unit for a in after.artifacts} - {"all"}
    touched = {a.unit for a in after.artifacts if a.recipe not in {b.recipe for b in before.artifacts}}
    assert touched - {"all"} == {f"label-{shard_of(LABEL[-1].image_id, 4):02d}-of-04"} < new


def test_image_in_both_lists_is_a_training_image():
    plan = make_plan(config(), make_index(TRAIN, TRAIN[:3] + LABEL[:2]))
    units = {artifact.unit for artifact in plan.of("export_masks")}
    expected = {f"train-{shard_of(e.image_id, 4):02d}-of-04" for e in TRAIN[:3]}
    expected |= {f"label-{shard_of(e.image_id, 4):02d}-of-04" for e in LABEL[:2]}
    assert units == expected
    of_cams = {artifact.recipe for artifact in plan.of("infer_cam")}
    alone = make_plan(config(), make_index(TRAIN, TRAIN))
    assert recipes(alone, "infer_cam") <= of_cams


def test_shards_without_image_are_left_out():
    plan = make_plan(config(shards__n=1000), make_index(TRAIN[:2], TRAIN[:2]))
    assert len(plan.of("infer_cam")) == len({shard_of(e.image_id, 1000) for e in TRAIN[:2]}) == 2


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=30), st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_shards_partition_the_images(image_ids, n):
    index = make_index([entry(i) for i in image_ids], [entry(i) for i in image_ids])
    lists = image_lists(config(shards__n=n), index).values()
    assert sorted(e.image_id for entries in lists for e in entries) == sorted(image_ids)
    assert all(len({shard_of(e.image_id, n) for e in entries}) == 1 for entries in lists)


def test_every_list_of_a_record_is_written():
    index = make_index(TRAIN, TRAIN[:3] + LABEL)
    lists = image_lists(config(), index)
    assert all(list_digest(entries) == digest for digest, entries in lists.items())
    written = {f"index/{digest}/images.json" for digest in lists}
    read = {path for artifact in make_plan(config(), index).artifacts for path in artifact.record.images}
    assert read == written


def test_variants_share_every_stage_above_them():
    index = make_index(TRAIN, TRAIN)
    one = make_plan(config(export__variants=["full"]), index)
    three = make_plan(config(export__variants=["cam", "boundary", "full"]), index)
    shared = set(STAGES) - {
        "export_masks",
        "gather_masks",
        "evaluate_cam",
        "evaluate_masks",
        "report",
        "publish",
    }
    assert recipes(one, *shared) == recipes(three, *shared)
    assert recipes(one, "export_masks", "gather_masks") < recipes(three, "export_masks", "gather_masks")
    assert len(three.of("export_masks")) == 3 * len(one.of("export_masks"))


def test_cam_alone_needs_no_irnet():
    plan = make_plan(config(export__variants=["cam"]), make_index(TRAIN, TRAIN + LABEL))
    late = {"export_masks", "draw_thumbnails", "gather_masks", "report", "publish"}
    assert needed(plan) == {"train_cam", "infer_cam"} | late


@pytest.mark.parametrize("kind", ["instance", "semantic"])
def test_a_threshold_left_to_be_chosen_is_a_parent(kind):
    index = make_index(TRAIN, TRAIN[:3] + LABEL)
    plan = make_plan(
        config(export__variants=["cam", "boundary", "full"], **{f"export__{kind}__bg_threshold": "auto"}),
        index,
    )
    (chosen,) = plan.of("select_thresholds")
    for artifact in plan.of("export_masks"):
        variant = artifact.record.spec["variant"]
        expected = [] if variant == "cam" else [chosen]
        assert [p for p in artifact.parents if p.stage == "select_thresholds"] == expected
    more = make_plan(
        config(export__variants=["full"], **{f"export__{kind}__bg_threshold": "auto"}),
        make_index(TRAIN, TRAIN[:3] + LABEL + [entry("appended")]),
    )
    assert recipes(more, "select_thresholds") == {chosen.recipe}, "training images alone decide"


@pytest.mark.parametrize("key", ["fg_threshold", "bg_threshold"])
def test_a_relation_threshold_left_to_be_chosen_is_a_parent(key):
    index = make_index(TRAIN, TRAIN[:3] + LABEL)
    plan = make_plan(config(**{f"relations__{key}": "auto"}), index)
    (chosen,) = plan.of("select_relation_thresholds")
    cams = {artifact.recipe for artifact in plan.of("infer_cam")}
    assert {parent.recipe for parent in chosen.parents} < cams, "training images alone decide"
    assert all(chosen in artifact.parents for artifact in plan.of("mine_relations"))
    more = make_plan(
        config(**{f"relations__{key}": "auto"}), make_index(TRAIN, TRAIN[:3] + LABEL + [entry("appended")])
    )
    assert recipes(more, "select_relation_thresholds") == {chosen.recipe}
    assert not make_plan(config(), index).of("select_relation_thresholds")


def test_everything_planned_is_parent_before_child():
    plan = make_plan(config(), make_index(TRAIN, TRAIN + LABEL))
    seen: set[str] = set()
    for artifact in plan.artifacts:
        assert {parent.recipe for parent in artifact.parents} <= seen
        seen.add(artifact.recipe)
    assert plan.targets[0].stage == "publish"
    assert len(seen) == len(plan.artifacts)


@pytest.mark.parametrize(
    ("key", "trainer", "silent"),
    [
        ("cam.trained", "train_cam", ("cam.train.lr", "cam.train.epochs")),
        ("irnet.trained", "train_irnet", ("irnet.train.epochs", "irnet.radius", "relations.fg_threshold")),
    ],
)
def test_trained_weights_leave_training_out(key, trainer, silent):
    index = make_index(TRAIN, TRAIN, files={key: OutsideFile("/any/where.pth", "a" * 16)})
    base = make_plan(config(**{key: "/any/where.pth"}), index)
    (artifact,) = base.of(trainer)
    assert artifact.parents == ()
    assert artifact.record.files == {key: "/any/where.pth"}
    assert artifact.record.training_threads == 1, "it is only read"
    for path in silent:
        value = FIRST_STAGES[path][0]
        other = make_plan(config(**{key: "/any/where.pth", path: value}), index)
        assert other.targets[0].recipe == base.targets[0].recipe, path
    if key == "irnet.trained":
        assert "mine_relations" not in needed(base)


def test_place_of_a_weights_file_changes_nothing_its_content_does():
    def target(path, digest):
        files = {"cam.trained": OutsideFile(path, digest)}
        return make_plan(config(cam__trained=path), make_index(TRAIN, TRAIN, files=files)).targets[0].recipe

    assert target("/a.pth", "1" * 16) == target("/b.pth", "1" * 16) != target("/a.pth", "2" * 16)


def test_other_labels_train_the_classifier_anew():
    before = make_plan(config(), make_index(TRAIN, TRAIN))
    other = [dataclasses.replace(TRAIN[0], labels=(1,)), *TRAIN[1:]]
    assert first_changes(before, make_plan(config(), make_index(other, other))) == {"train_cam"}


def test_labels_of_images_that_are_only_labelled_reach_no_training():
    before = make_plan(config(), make_index(TRAIN, LABEL))
    other = [dataclasses.replace(LABEL[0], labels=(1,)), *LABEL[1:]]
    after = make_plan(config(), make_index(TRAIN, other))
    stages = ("train_cam", "train_irnet", "calibrate_displacement")
    assert recipes(before, *stages) == recipes(after, *stages)
    assert "infer_cam" in first_changes(before, after)


def test_evaluation_is_left_out_without_ground_truth():
    plain = make_plan(config(), make_index(TRAIN, TRAIN))
    assert not plain.of("evaluate_cam") and not plain.of("evaluate_masks")
    truth = Truth("e" * 16, frozenset({"t1"}))
    assert len(make_plan(config(), make_index(TRAIN, TRAIN, truth=truth)).of("evaluate_masks")) == 1


def test_ground_truth_reaches_nothing_but_scores_report_and_publication():
    plain = make_plan(config(), make_index(TRAIN, TRAIN))
    scored = make_plan(config(), make_index(TRAIN, TRAIN, truth=Truth("e" * 16, frozenset({"t1"}))))
    assert first_changes(plain, scored) <= {"evaluate_cam", "evaluate_masks", "report", "publish"}
    stages = [stage for stage in STAGES if not stage.startswith(("evaluate", "report", "publish"))]
    assert recipes(plain, *stages) == recipes(scored, *stages)


def test_report_shows_evaluated_images_first_and_no_negatives():
    images = [*TRAIN, entry("negative", ()), entry("predicted", None)]
    index = make_index(TRAIN, images, truth=Truth("e" * 16, frozenset({"t3", "t5"})))
    assert report_images(index, 2) == {"t3", "t5"}
    assert report_images(index, 99) == {e.image_id for e in images} - {"negative"}
    assert report_images(index, 5) < report_images(index, 6)


def test_versions_and_labels():
    plan = make_plan(config(), make_index(TRAIN, TRAIN))
    for artifact in plan.artifacts:
        assert artifact.record.version == STAGES[artifact.stage].version
        assert artifact.label.startswith(f"{artifact.stage} {artifact.unit}")
        assert (
            artifact.path
            == f"{artifact.stage}/{artifact.unit}.{artifact.recipe}.{STAGES[artifact.stage].ext}"
        )
    bumped = dataclasses.replace(plan.artifacts[-1], label="another name for people")
    assert bumped.recipe == plan.artifacts[-1].recipe


def test_a_bumped_version_is_another_recipe(monkeypatch):
    index = make_index(TRAIN, TRAIN)
    before = make_plan(config(), index)
    monkeypatch.setitem(STAGES, "propagate", dataclasses.replace(STAGES["propagate"], version=99))
    assert first_changes(before, make_plan(config(), index)) == {"propagate"}


def test_a_plan_of_thousands_of_jobs_takes_a_moment():
    many = [entry(f"image {i}") for i in range(4000)]
    values = config(shards__n=512, export__variants=["cam", "boundary", "full"])
    start = time.perf_counter()
    plan = make_plan(values, make_index(many, many))
    assert len(plan.artifacts) > 4000
    assert time.perf_counter() - start < 20


def test_appended_photo_of_a_real_folder(tiny, photo_set, tmp_path):
    folder = shutil.copytree(photo_set, tmp_path / "copy")
    tiny["dataset"]["root"] = str(folder)
    before = plan_of(tiny)
    Image.new("RGB", (48, 40), "green").save(folder / "images" / "new.png")
    with (folder / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("new,box\n")
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    truth["images"].append({"id": 99, "file_name": "new.png", "height": 40, "width": 48})
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    after = plan_of(tiny)
    stages = ("train_cam", "mine_relations", "train_irnet", "calibrate_displacement")
    assert recipes(before, *stages) == recipes(after, *stages)
    new = [a for a in after.artifacts if a.recipe not in {b.recipe for b in before.artifacts}]
    assert {a.unit for a in new} - {"all"} == {f"label-{shard_of('new', 2):02d}-of-02"}
