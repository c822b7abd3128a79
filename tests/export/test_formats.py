"""Formats, opened by readers that the test environment has: pycocotools, torchvision, PIL, csv, json and xml."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw
from published_run import CLASSES, NEGATIVE, SIZES
from pycocotools.coco import COCO
from scipy import ndimage
from torchvision.datasets import VOCDetection, VOCSegmentation

from irnet_pipe.export.coco import CocoInstance
from irnet_pipe.export.formats import FORMATS
from irnet_pipe.export.formats.label_studio import brush
from irnet_pipe.export.published import Photo
from irnet_pipe.numerics.run_lengths import encode_rle

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def filled(points, size):
    image = Image.fromarray(np.zeros(size, np.uint8))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=1, outline=1)
    return np.array(image) > 0


@pytest.mark.parametrize("form", FORMATS)
def test_every_export_lists_all_images_and_is_marked(made_up, tmp_path, form):
    folder = made_up.export(form, tmp_path / "out")
    rows = rows_of(folder / "images.csv")
    assert [row["image"] for row in rows] == list(SIZES)
    assert {row["image"]: int(row["instances"]) for row in rows} == {
        k: len(v) for k, v in made_up.masks.items()
    }
    facts = json.loads((folder / "export.json").read_text())
    assert (facts["format"], facts["variant"], facts["classes"]) == (form, "full", CLASSES)
    assert facts["images"] == len(SIZES) and facts["images_without_instance"] == 1
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("form", FORMATS)
def test_equal_runs_give_equal_files(made_up, tmp_path, form):
    first, second = (made_up.export(form, tmp_path / name, "--val-share", 0.4) for name in "ab")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


@pytest.mark.parametrize("form", ["coco", "coco-polygons"])
def test_coco_by_pycocotools(made_up, tmp_path, form):
    folder = made_up.export(form, tmp_path / "out", "--photos", "copy", "--root", made_up.root)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO(folder / "annotations" / "instances.json")
    assert [(c["id"], c["name"]) for c in dataset.loadCats(dataset.getCatIds())] == list(
        enumerate(CLASSES, 1)
    )
    assert len(set(dataset.getAnnIds())) == sum(map(len, made_up.masks.values()))
    for image in dataset.loadImgs(dataset.getImgIds()):
        name = image["file_name"]
        assert (folder / "images" / name).read_bytes() == (made_up.root / name).read_bytes()
        found = dataset.loadAnns(dataset.getAnnIds(imgIds=[image["id"]]))
        expected = made_up.masks[name]
        assert len(found) == len(expected)
        for annotation, (mask, class_id, score) in zip(found, expected, strict=True):
            assert (annotation["category_id"], annotation["score"]) == (class_id + 1, score)
            assert isinstance(annotation["segmentation"], dict) == (form == "coco")
            np.testing.assert_array_equal(dataset.annToMask(annotation), mask)


def test_voc_by_torchvision(made_up, tmp_path):
    root = tmp_path / "data"
    folder = root / "VOCdevkit" / "VOC2012"
    jpegs = [name for name in SIZES if name.endswith(".jpg")]
    made_up.export("voc", folder, "--photos", "copy", "--root", made_up.root)
    lists = [folder / "ImageSets" / kind / "trainval.txt" for kind in ("Segmentation", "Main")]
    assert {path.read_text() for path in lists} == {"".join(f"{stem(name)}\n" for name in SIZES)}
    for path in lists:  # torchvision reads no photos but .jpg
        path.write_text("".join(f"{stem(name)}\n" for name in jpegs))
    classes = VOCSegmentation(root, image_set="trainval")
    boxes = VOCDetection(root, image_set="trainval")
    assert len(classes) == len(boxes) == len(jpegs)
    for name, (photo, class_map), (_, told) in zip(jpegs, classes, boxes, strict=True):
        assert photo.size == class_map.size
        objects = np.array(Image.open(folder / "SegmentationObject" / f"{stem(name)}.png"))
        entries = told["annotation"]["object"]
        expected = made_up.masks[name]
        assert len(entries) == len(expected) == objects.max()
        for label, (entry, (mask, class_id, score)) in enumerate(zip(entries, expected, strict=True), 1):
            np.testing.assert_array_equal(objects == label, mask)
            assert set(np.array(class_map)[mask]) == {class_id + 1}
            assert (entry["name"], float(entry["score"])) == (CLASSES[class_id], score)
            y, x = np.nonzero(mask)
            box = {"xmin": x.min() + 1, "ymin": y.min() + 1, "xmax": x.max() + 1, "ymax": y.max() + 1}
            assert entry["bndbox"] == {key: str(value) for key, value in box.items()}
        assert not np.array(class_map)[objects == 0].any()
    assert (folder / "classes.txt").read_text(encoding="utf-8").splitlines() == CLASSES


def test_yolo(made_up, tmp_path):
    folder = made_up.export("yolo", tmp_path / "out", "--photos", "link", "--root", made_up.root)
    config = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    assert config == {"train": "images/train", "val": "images/train", "names": dict(enumerate(CLASSES))}
    for name, expected in made_up.masks.items():
        flat = name.replace("/", "__")
        photo = folder / "images" / "train" / flat
        assert photo.is_symlink() and photo.resolve() == (made_up.root / name).resolve()
        lines = (folder / "labels" / "train" / f"{stem(flat)}.txt").read_text().splitlines()
        height, width = SIZES[name]
        assert len(lines) == len(expected)
        for line, (mask, class_id, _) in zip(lines, expected, strict=True):
            first, *rest = line.split()
            places = np.array(rest, np.float32).reshape(-1, 2)
            assert int(first) == class_id and len(places) >= 3
            assert places.min() >= 0 and places.max() < 1
            pixels = places * (width, height)
            np.testing.assert_array_equal(np.trunc(pixels), np.round(pixels))
            found = filled(np.trunc(pixels), mask.shape)
            assert found[mask].all()
            if ndimage.label(mask)[1] == 1:  # else there are bridges between parts
                np.testing.assert_array_equal(found, mask)


def test_cvat(made_up, tmp_path):
    folder = made_up.export("cvat", tmp_path / "out", "--photos", "copy", "--root", made_up.root)
    with zipfile.ZipFile(folder / "masks.zip") as archive:
        names = archive.namelist()
        tree = ElementTree.fromstring(archive.read("annotations.xml"))
    assert names == ["annotations.xml", *(f"images/{name}" for name in SIZES)]
    assert [label.findtext("name") for label in tree.iter("label")] == CLASSES
    assert [label["name"] for label in json.loads((folder / "labels.json").read_text("utf-8"))] == CLASSES
    assert [image.get("name") for image in tree.iter("image")] == list(SIZES)
    for image in tree.iter("image"):
        for entry, (mask, class_id, score) in zip(image, made_up.masks[image.get("name")], strict=True):
            left, top, width, height = (int(entry.get(key)) for key in ("left", "top", "width", "height"))
            runs = np.array(entry.get("rle").split(","), int)
            box = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
            assert mask.sum() == box.sum()
            np.testing.assert_array_equal(mask[top : top + height, left : left + width], box)
            assert (entry.get("label"), float(entry.findtext("attribute"))) == (CLASSES[class_id], score)


def decoded(rle: list[int]) -> np.ndarray:
    """Naive twin of Label Studio's decoder."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    place = 0

    def read(n: int) -> int:
        nonlocal place
        place += n
        return int(bits[place - n : place], 2)

    total, value_bits, widths = read(32), read(5) + 1, [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        assert read(1)
        n = read(widths[read(2)]) + 1
        values += [read(value_bits)] * n
    assert len(values) == total and len(bits) - place < 8
    return np.array(values)


def test_label_studio(made_up, tmp_path):
    folder = made_up.export("label-studio", tmp_path / "out", "--url-prefix", "s3://bucket/")
    tasks = json.loads((folder / "tasks-0001.json").read_text(encoding="utf-8"))
    assert [task["data"]["path"] for task in tasks] == list(SIZES)
    assert tasks[2]["data"]["image"] == "s3://bucket/site%202/100%25%20sure.jpg"
    config = ElementTree.fromstring((folder / "label_config.xml").read_text(encoding="utf-8"))
    assert [label.get("value") for label in config.iter("Label")] == CLASSES
    for task in tasks:
        (prediction,) = task["predictions"]
        expected = made_up.masks[task["data"]["path"]]
        assert len({region["id"] for region in prediction["result"]}) == len(expected)
        if expected:
            assert prediction["score"] == pytest.approx(np.mean([score for *_, score in expected]))
        for region, (mask, class_id, score) in zip(prediction["result"], expected, strict=True):
            assert (region["value"]["brushlabels"], region["score"]) == ([CLASSES[class_id]], score)
            brush = decoded(region["value"]["rle"]).reshape(*mask.shape, 4)
            assert np.all(brush == np.where(mask, 255, 0)[..., None])


def test_label_studio_tells_long_runs_in_pieces():
    mask = np.zeros((300, 400), bool)
    mask[50:250] = True
    mask[260, 3] = mask[270, :4] = True
    rle = brush(CocoInstance(encode_rle(mask), 0, 1.0), Photo("a.jpg", 300, 400, [])).tolist()
    np.testing.assert_array_equal(decoded(rle), np.where(mask, 255, 0).ravel().repeat(4))


def test_tasks_are_split_into_files(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr("irnet_pipe.export.formats.label_studio.TASKS_A_FILE", 2)
    folder = made_up.export("label-studio", tmp_path / "out")
    parts = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("tasks-*.json"))]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [task["data"]["path"] for part in parts for task in part] == list(SIZES)


def test_labelme(made_up, tmp_path):
    folder = made_up.export("labelme", tmp_path / "out", "--photos", "copy", "--root", made_up.root)
    assert (folder / "labels.txt").read_text(encoding="utf-8").splitlines() == CLASSES
    for name, expected in made_up.masks.items():
        path = folder / f"{stem(name)}.json"
        told = json.loads(path.read_text(encoding="utf-8"))
        assert (path.parent / told["imagePath"]).read_bytes() == (made_up.root / name).read_bytes()
        assert (told["imageHeight"], told["imageWidth"]) == SIZES[name]
        for number, (mask, class_id, score) in enumerate(expected, start=1):
            parts = [shape for shape in told["shapes"] if shape["group_id"] == number]
            assert {(part["label"], part["score"]) for part in parts} == {(CLASSES[class_id], score)}
            found = np.logical_or.reduce([filled(part["points"], mask.shape) for part in parts])
            np.testing.assert_array_equal(found, mask)


def test_png(made_up, tmp_path):
    folder = made_up.export("png", tmp_path / "out")
    rows = rows_of(folder / "instances.csv")
    expected = [(name, *rest) for name, of_photo in made_up.masks.items() for rest in of_photo]
    assert len({row["file"] for row in rows}) == len(expected) == len(list((folder / "masks").rglob("*.png")))
    for row, (name, mask, class_id, score) in zip(rows, expected, strict=True):
        assert (row["image"], row["class"], int(row["class_id"])) == (name, CLASSES[class_id], class_id)
        assert (float(row["score"]), int(row["pixels"])) == (score, mask.sum())
        np.testing.assert_array_equal(np.array(Image.open(folder / row["file"])), np.where(mask, 255, 0))
    assert NEGATIVE not in {row["image"] for row in rows}
