"""`irnet-pipe predict`: what it writes, what it skips, what it leaves alone."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from deployment_run import CLASSES
from PIL import Image
from pycocotools.coco import COCO

from irnet_pipe.data.photos import load_photo
from irnet_pipe.deployment import predict as module
from irnet_pipe.deployment.outputs import InstanceOutput

SIZES = {
    "100% turned.jpg": (64, 40),  # the file lies on its side
    "grey.PNG": (48, 64),
    "seen through.png": (48, 64),
    "site 1/ä b.png": (48, 64),
    "site 2/ä b.png": (56, 40),
}
PNGS = {str(Path(name).with_suffix(".png")) for name in SIZES}


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def facts_of(out: Path) -> dict:
    return json.loads((out / "predict.json").read_text(encoding="utf-8"))


@pytest.fixture
def predict(verb, published_run, tmp_path):
    """Predict on the CPU into tmp_path/out: exit code, stderr, the folder."""
    out = tmp_path / "my out"

    def run(*words: object) -> tuple[int, str, Path]:
        code, _, err = verb("predict", "--model", published_run, "--out", out, "--device", "cpu", *words)
        return code, err, out

    return run


@pytest.fixture
def fast(predict, stand_ins):
    """Predict by networks of no weights."""
    return predict


# pycocotools hands numpy an object whose __array__ knows no `copy`.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_both_segmenters_of_a_run(predict, photos):
    code, err, out = predict(photos)
    assert code == 0
    pictures = {f"overlays/{kind}/{png}" for kind in ("maskrcnn", "deeplab") for png in PNGS}
    labels = {f"SegmentationClass/{png}" for png in PNGS}
    assert tree(out) == {"instances.json", "predict.json"} | pictures | labels
    assert re.search(r"predict: 5/5 photos · [\d.]+/s · ETA 0s\n$", err)
    check_instances(out / "instances.json")
    check_labels(out)
    facts = facts_of(out)
    assert (facts["photos_below"], facts["photos"], facts["skipped"]) == (str(photos.resolve()), 5, {})
    assert facts["segmenters"]["maskrcnn"]["classes"] == CLASSES
    assert facts["segmenters"]["deeplab"]["settings"]["dataset.working_long_side"] == 64


def check_instances(path: Path) -> None:
    """A COCO json of photos as displayed, with masks inside of them."""
    coco = COCO(path)
    assert {
        image["file_name"]: (image["height"], image["width"]) for image in coco.loadImgs(coco.imgs)
    } == SIZES
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == CLASSES
    assert {annotation["image_id"] for annotation in coco.anns.values()} == set(coco.imgs)
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        mask = coco.annToMask(annotation)
        assert mask.shape == (image["height"], image["width"]) and mask.sum() == annotation["area"] > 0
        assert 0.05 <= annotation["score"] <= 1
    assert max(len(coco.getAnnIds(imgIds=[number])) for number in coco.imgs) <= 7  # detections of the run


def check_labels(out: Path) -> None:
    """Palette PNGs of the size of the photos; pictures, too."""
    for name, (height, width) in SIZES.items():
        png = str(Path(name).with_suffix(".png"))
        label = Image.open(out / "SegmentationClass" / png)
        assert (label.mode, label.size) == ("P", (width, height))
        assert set(np.unique(np.array(label))) <= {0, 1, 2} and np.array(label).any()
        for kind in ("maskrcnn", "deeplab"):
            with Image.open(out / "overlays" / kind / png) as picture:
                assert (picture.mode, picture.size) == ("RGB", (width, height))


def test_photos_that_cannot_be_used_are_skipped(fast, photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "photos")
    whole = (folder / "grey.PNG").read_bytes()
    (folder / "site 1" / "torn.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no photo")
    Image.new("RGB", (15, 40)).save(folder / "narrow.png")
    Image.new("RGB", (70, 80)).save(folder / "too large.png")
    code, err, out = fast(
        folder, "--set", "dataset.max_pixels=4000", "--segmenter", "deeplab", "--no-overlays"
    )
    assert code == 1
    reasons = {
        "narrow.png": "40×15 pixels, sides must be 16 or more",
        "site 1/torn.png": "cannot be decoded",
        "text.jpg": "cannot be decoded (the file is of no known format)",
        "too large.png": "5600 pixels exceed dataset.max_pixels 4000",
    }
    facts = facts_of(out)
    assert facts["skipped"].keys() == reasons.keys() and facts["photos"] == 5
    for name, reason in reasons.items():
        assert reason in facts["skipped"][name]
        assert f"skipped: {folder / name}: {reason}" in err
    assert tree(out) == {"predict.json"} | {f"SegmentationClass/{png}" for png in PNGS}


def test_photos_for_which_memory_runs_out_are_skipped(fast, photos, monkeypatch):
    find = InstanceOutput.find

    def fail(self: InstanceOutput, photo: np.ndarray, path: Path) -> object:
        if path.parent.name == "site 1":
            raise MemoryError
        return find(self, photo, path)

    monkeypatch.setattr(InstanceOutput, "find", fail)
    code, err, out = fast(photos, "--segmenter", "maskrcnn", "--no-overlays")
    assert code == 1 and "skipped: memory ran out" in err
    found = COCO(out / "instances.json")
    assert {image["file_name"] for image in found.imgs.values()} == SIZES.keys() - {"site 1/ä b.png"}


def test_no_photo_can_be_used(fast, tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    code, _, out = fast(tmp_path / "text.jpg")
    assert code == 1
    content = json.loads((out / "instances.json").read_text(encoding="utf-8"))
    assert content["images"] == content["annotations"] == []
    assert tree(out) == {"instances.json", "predict.json"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{tmp}/empty"], "empty: no photo; endings of photos are"),
        (["{tmp}/nowhere.png"], "nowhere.png: no such file or folder"),
        (["{photos}/notes.txt"], "notes.txt: no photo by its ending"),
        (["{photos}", "--model", "{tmp}/empty"], "empty: no published run"),
        (["{photos}", "--min-score", "2"], "maskrcnn.infer.min_score is 2.0"),
        (["{photos}", "--set", "maskrcnn.infer.precision=fp16"], "fp16 needs a CUDA device"),
        (["{photos}", "--device", "gpu"], "'gpu' is no device"),
    ],
)
def test_bad_input_writes_nothing(fast, photos, tmp_path, words, told):
    (tmp_path / "empty").mkdir()
    code, err, out = fast(*(word.format(tmp=tmp_path, photos=photos) for word in words))
    assert code == 2
    assert err.startswith("error: ") and told in err
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"] and not out.exists()


def test_damaged_weights(verb, published_run, photos, tmp_path):
    run = shutil.copytree(published_run, tmp_path / "run")
    weights = run / "deeplab.pth"
    weights.write_bytes(weights.read_bytes()[:-5000])
    code, _, err = verb("predict", photos, "--model", weights, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 2 and "deeplab.pth: cannot be read as a file of torch.save" in err
    assert list(tmp_path.iterdir()) == [run]


def test_folders_of_others_are_never_touched(fast, photos, tmp_path):
    out = tmp_path / "my out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    for words in ([], ["--force"]):
        code, err, _ = fast(photos, *words)
        assert code == 2 and "is not empty and no earlier prediction (no predict.json)" in err
        assert tree(out) == {"thesis.txt"}


def test_an_earlier_prediction_is_replaced_by_force_alone(fast, photos):
    _, _, out = fast(photos / "grey.PNG")
    code, err, _ = fast(photos)
    assert (
        code == 2
        and "holds an earlier prediction; give --out another folder, or replace it by --force" in err
    )
    assert facts_of(out)["photos"] == 1
    assert fast(photos / "site 1", "--force")[0] == 0
    names = {"predict.json", "instances.json", "SegmentationClass/ä b.png"}
    assert tree(out) == names | {f"overlays/{kind}/ä b.png" for kind in ("maskrcnn", "deeplab")}


def test_pictures_of_an_earlier_prediction_are_no_photos(verb, published_run, photos, tmp_path, stand_ins):
    folder = shutil.copytree(photos, tmp_path / "photos")
    words = (
        "predict",
        folder,
        "--model",
        published_run / "deeplab.pth",
        "--out",
        folder / "out",
        "--device",
        "cpu",
    )
    for force in ([], ["--force"]):
        assert verb(*words, *force)[0] == 0
        assert facts_of(folder / "out")["photos"] == 5


def test_nothing_is_left_of_what_failed(fast, photos, tmp_path, monkeypatch):
    write = InstanceOutput.write

    def fail(self: InstanceOutput, *arguments: object, name: str, png: str) -> None:
        if name.startswith("site 2"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), png)
        write(self, *arguments, name=name, png=png)

    monkeypatch.setattr(InstanceOutput, "write", fail)
    code, err, _ = fast(photos)
    assert code == 2 and "free disk space" in err
    assert list(tmp_path.iterdir()) == []


def test_min_score_is_that_of_instances_and_pictures(fast, photos):
    told, drawn = {}, {}
    left, right = slice(None, 4), slice(60, None)
    photo = load_photo(photos / "grey.PNG")
    for score in (None, 0.2, 0.5):
        option = () if score is None else ("--min-score", score)
        out = fast(photos / "grey.PNG", "--segmenter", "maskrcnn", "--force", *option)[2]
        content = json.loads((out / "instances.json").read_text(encoding="utf-8"))
        told[score] = [annotation["score"] for annotation in content["annotations"]]
        picture = np.array(Image.open(out / "overlays/maskrcnn/grey.png"))
        drawn[score] = [bool((picture != photo)[-1, half].any()) for half in (left, right)]
    assert told == {None: [0.9, 0.3], 0.2: [0.9, 0.3], 0.5: [0.9]}
    # by default, what is less sure than .5 is not drawn
    assert drawn == {None: [True, False], 0.2: [True, True], 0.5: [True, False]}


def test_one_photo_is_in_memory_at_a_time(fast, photos, monkeypatch):
    load, alive = module.load_photo, []

    def watched(path: Path, **options: int) -> np.ndarray:
        assert sum(photo() is not None for photo in alive) <= 1, "the one before, which is about to go"
        photo = load(path, **options)
        alive.append(weakref.ref(photo))
        return photo

    monkeypatch.setattr(module, "load_photo", watched)
    assert fast(photos)[0] == 0
    assert len(alive) == 5


@pytest.mark.slow
def test_equal_photos_give_equal_files(predict, photos, tmp_path):
    out = predict(photos)[2]
    first = out.rename(tmp_path / "first")
    predict(photos)
    assert tree(first) == tree(out)
    assert all((first / name).read_bytes() == (out / name).read_bytes() for name in tree(out))
