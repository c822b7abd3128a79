"""review.json: what it may say, and what runs again because of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from irnet_pipe.config import parse_config
from irnet_pipe.data.review import ImageReview, read_review
from irnet_pipe.errors import InputError
from irnet_pipe.workflow import prepare
from reruns import StandIns

MASK = "0123456789ab"
WHOLE = {"format": "irnet_pipe.review", "version": 1}


def write(folder: Path, images: object, **others: object) -> Path:
    path = folder / "review.json"
    path.write_text(json.dumps(WHOLE | {"images": images} | others), encoding="utf-8")
    return path


def test_what_a_review_says(tmp_path):
    images = {
        "a": {"unusable": True},
        "b/ä": {"labels": {"cat": True, "dog": False}, "wrong": [MASK, MASK]},
        "c": {},
    }
    review = read_review(write(tmp_path, images))
    assert review.images == {
        "a": ImageReview(unusable=True),
        "b/ä": ImageReview(labels={"cat": True, "dog": False}, wrong=(MASK,)),
        "c": ImageReview(),
    }
    assert review.unusable == {"a"} and review.wrong == {"b/ä": (MASK,)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "{path}: not valid JSON in UTF-8 (Expecting property name enclosed in double quotes: line 1 column 2 "
         "(char 1)); save it anew from the report"),
        ("[]", "{path}: no review (format 'irnet_pipe.review' is missing); give the review.json that a report saved"),
        ({"version": 2}, "{path}: version 2, this irnet_pipe reads 1; update irnet_pipe, or save it anew from the "
         "report"),
        ({"images": []}, "{path}: images is [], expected image_id → what was found; save it anew from the report"),
        ({"images": {"a": 1}}, "{path}: image 'a' is 1, expected unusable, labels or wrong; mend it, or save it anew "
         "from the report"),
        ({"images": {"a": {"bad": 1}}}, "{path}: image 'a': unknown key 'bad', expected unusable, labels or wrong; "
         "mend it, or save it anew from the report"),
        ({"images": {"a": {"unusable": "no"}}}, "{path}: image 'a': unusable is 'no', expected true or false; mend it, "
         "or save it anew from the report"),
        ({"images": {"a": {"labels": {"cat": 1}}}}, "{path}: image 'a': labels is {{'cat': 1}}, expected class → true "
         "or false; mend it, or save it anew from the report"),
        ({"images": {"a": {"wrong": MASK}}}, "{path}: image 'a': wrong is '0123456789ab', expected a list of masks; "
         "mend it, or save it anew from the report"),
        ({"images": {"a": {"wrong": [3]}}}, "{path}: image 'a': mask 3, expected twelve hex digits; mend it, or save "
         "it anew from the report"),
    ],
)  # fmt: skip
def test_what_is_no_review(content, told, tmp_path):
    path = tmp_path / "review.json"
    text = content if isinstance(content, str) else json.dumps(WHOLE | {"images": {}} | content)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_review(path)
    assert caught.value.problems == [told.format(path=path)]


def test_every_problem_is_told_at_once(tmp_path):
    path = write(tmp_path, {"a": {"unusable": 1, "wrong": ["x", "y"]}, "b": None})
    with pytest.raises(InputError) as caught:
        read_review(path)
    assert len(caught.value.problems) == 4


def test_missing_file(tmp_path):
    with pytest.raises(
        InputError, match=r"review: .*none\.json: no such file; give the path of the review\.json"
    ):
        read_review(tmp_path / "none.json")


# --- in a run


@pytest.fixture
def run(tiny, photo_set, tmp_path) -> StandIns:
    return StandIns.finished(tiny, photo_set, tmp_path)


def reviewed(run: StandIns, folder: Path, images: object) -> None:
    run.values["review"] = str(write(folder, images))


def missing(run: StandIns) -> Counter[str]:
    return Counter(artifact.stage for artifact in run.missing())


def test_strange_images_and_classes(run, tmp_path):
    reviewed(run, tmp_path, {"stranger": {"unusable": True}, "beta": {"labels": {"dicks": True}}})
    with pytest.raises(InputError) as caught:
        run.plan()
    source, photos = tmp_path / "review.json", Path(run.values["dataset"]["root"], "images")
    assert caught.value.problems[:2] == [
        f"{source}: image 'stranger' has no photo in {photos}; delete its entry, or put the photo back",
        f"{source}: image 'beta': class 'dicks' is no class of the data; did you mean 'disc'? Else delete the entry, "
        "or add the class to dataset.classes",
    ]


def test_a_review_that_says_nothing_changes_nothing(run, tmp_path):
    reviewed(run, tmp_path, {"beta": {}})
    assert not run.missing()


@pytest.mark.parametrize(("image_id", "unit"), [("label only", "label"), ("beta", "train")])
def test_a_wrong_mask_touches_the_masks_of_its_shard_alone(run, tmp_path, image_id, unit):
    reviewed(run, tmp_path, {image_id: {"wrong": [MASK]}})
    assert missing(run) == Counter(
        export_masks=1, draw_thumbnails=1, gather_masks=1, evaluate_masks=1, report=1, publish=1
    )
    (exported,) = (artifact for artifact in run.missing() if artifact.stage == "export_masks")
    assert exported.unit.startswith(unit)
    assert exported.record.spec["variant"] == "full", "the variant that people see"
    assert exported.record.spec["wrong"] == {image_id: [MASK]}
    run.values["review"] = None
    assert missing(run) == Counter()


def test_an_unusable_image_is_left_out(run, tmp_path):
    reviewed(run, tmp_path, {"label only": {"unusable": True}, "beta": {}})
    index = prepare(parse_config(run.values)).index
    assert "label only" not in {entry.image_id for entry in index.label}
    assert "label only" not in index.truth.image_ids
    stages = set(missing(run))
    assert "gather_masks" in stages and not stages & {"train_cam", "train_irnet", "calibrate_displacement"}


def test_an_unusable_training_image_trains_nothing(run, tmp_path):
    reviewed(run, tmp_path, {"beta": {"unusable": True}})
    index = prepare(parse_config(run.values)).index
    assert "beta" not in {entry.image_id for entry in (*index.train, *index.label)}
    assert set(run.missing()) == set(run.plan().artifacts)


def test_labels_are_corrected(run, tmp_path):
    reviewed(
        run,
        tmp_path,
        {"label only": {"labels": {"box": False}}, "sub dir/ä": {"labels": {"disc": True, "box": False}}},
    )
    labels = {entry.image_id: entry.labels for entry in prepare(parse_config(run.values)).index.label}
    assert labels["label only"] == (1,) and labels["sub dir/ä"] == (1,)
    stages = set(missing(run))
    assert "infer_cam" in stages and not stages & {"train_cam", "train_irnet"}


def test_labels_of_a_training_image_train_anew(run, tmp_path):
    reviewed(run, tmp_path, {"beta": {"labels": {"box": False}}})
    assert "train_cam" in missing(run)


def test_labels_take_the_place_of_a_prediction(run, tmp_path):
    root = Path(run.values["dataset"]["root"])
    table = root / "labels.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace('"label only",box;disc\n', ""), encoding="utf-8"
    )
    run.values["dataset"]["missing"] = "predict"
    reviewed(run, tmp_path, {"label only": {"labels": {"disc": True, "box": False}}})
    labels = {entry.image_id: entry.labels for entry in prepare(parse_config(run.values)).index.label}
    assert labels["label only"] == (1,)
