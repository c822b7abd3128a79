from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from irnet_pipe.config import parse_config
from irnet_pipe.data import photo_files
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.errors import InputError
from irnet_pipe.index import Index, build_index

PHOTOS = {"a": "cat;dog", "b": "dog", "sub x/é": "", "c": "cat"}


class Folder:
    """A small data set with a table of labels."""

    def __init__(self, root: Path) -> None:
        self.root = root / "data"
        self.results = root / "results"
        for image_id in PHOTOS:
            self.photo(f"images/{image_id}.jpg")
        self.labels(PHOTOS)

    def photo(self, name: str, size: tuple[int, int] = (32, 24), *, grey: int = 90) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, grey).save(path)
        return path

    def labels(self, rows: dict[str, str]) -> None:
        lines = ["image_id,labels", *(f"{image_id},{labels}" for image_id, labels in rows.items())]
        self.text("labels.csv", "\n".join(lines))

    def text(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def truth(self, *image_ids: str, size: tuple[int, int] = (32, 24)) -> None:
        for folder in ("SegmentationClass", "SegmentationObject"):
            for image_id in image_ids:
                self.photo(f"{folder}/{image_id}.png", size, grey=1)

    def index(self, sections: dict[str, Any] | None = None, **dataset: Any) -> Index:
        values = {"dataset": {"root": str(self.root), **dataset}, **(sections or {})}
        return build_index(parse_config(values), results=self.results)

    def problems(self, sections: dict[str, Any] | None = None, **dataset: Any) -> str:
        with pytest.raises(InputError) as error:
            self.index(sections, **dataset)
        return "\n".join(error.value.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def ids(entries: tuple[ImageEntry, ...]) -> list[str]:
    return [entry.image_id for entry in entries]


def test_what_an_index_holds(folder: Folder) -> None:
    index = folder.index()
    assert index.classes == ("cat", "dog")
    assert ids(index.train) == ["a", "b", "c", "sub x/é"] == ids(index.label)
    first = index.train[0]
    assert (first.path, first.height, first.width) == ("images/a.jpg", 24, 32)
    assert first.labels == (index.classes.index("cat"), index.classes.index("dog"))
    assert len(first.digest) == 16
    assert index.train[-1].labels == ()
    assert (index.truth, index.files) == (None, {})


def test_classes_in_the_order_given(folder: Folder) -> None:
    index = folder.index(classes=["dog", "cow", "cat"])
    assert index.classes == ("dog", "cow", "cat")
    assert index.train[0].labels == (0, 2)


def test_lists(folder: Folder) -> None:
    folder.text("train.txt", "# training\n\na\n sub x/é.jpg \r\nimages/b.jpg\n")
    folder.text("label.txt", "c\n")
    index = folder.index(train="train.txt", label="label.txt")
    assert ids(index.train) == ["a", "b", "sub x/é"]
    assert ids(index.label) == ["c"]


def test_a_list_beside_the_current_folder(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.txt").write_text("a\nc\n")
    assert ids(folder.index(train="own.txt").train) == ["a", "c"]


def test_negatives(folder: Folder) -> None:
    index = folder.index(negatives="drop")
    assert ids(index.train) == ["a", "b", "c"] == ids(index.label)
    folder.text("label.txt", "a\nsub x/é\n")
    assert ids(folder.index(negatives="drop", label="label.txt").label) == ["a", "sub x/é"]


def test_missing_rows(folder: Folder) -> None:
    folder.photo("images/new.png")
    assert "image 'new' has no labels; add them" in folder.problems()
    assert folder.index(missing="negative").train[-2].labels == ()
    folder.text("train.txt", "a\nb\n")
    label = folder.index(train="train.txt", label="all", missing="predict").label
    assert {entry.image_id: entry.labels for entry in label}["new"] is None
    folder.text("train.txt", "a\nnew\n")
    assert "predict is for images outside of training alone" in folder.problems(
        train="train.txt", label="all", missing="predict"
    )


def test_every_problem_is_told_at_once(folder: Folder) -> None:
    photo = folder.root / "images" / "a.jpg"
    photo.write_bytes(photo.read_bytes()[:60])
    folder.photo("images/b.png")
    folder.photo("images/tiny.png", (15, 40))
    folder.photo("images/huge.png", (1000, 101))
    folder.photo("images/new.png")
    folder.labels(PHOTOS | {"ghost": "dog", "tiny": "Cat", "huge": "emu"})
    folder.text("train.txt", "a\na\nb\nhuge\nnowhere\nnew\n")
    folder.text("evaluate.txt", "a\nc\n")
    told = folder.problems(
        {"cam": {"weights": "no/such.pth"}, "irnet": {"trained": "none.pth"}},
        train="train.txt",
        label="all",
        evaluate="evaluate.txt",
        max_pixels=100_000,
    )
    for part in (
        "images/a.jpg: cannot be decoded",
        "b.jpg and b.png are all image 'b'",
        "tiny.png: 15×40 pixels, both sides must be 16 or more",
        "huge.png: 101000 pixels exceed dataset.max_pixels 100000",
        "'ghost' has labels, but no photo",
        "image 'new' has no labels",
        "train.txt:2: 'a' is listed in line 1 already",
        "train.txt:5: 'nowhere' has no photo",
        "'Cat' and 'cat' are one class",
        "SegmentationClass and no SegmentationObject",
        "class 'Cat' occurs only in images to be labelled (1, for example 'tiny')",
        "cam.weights: no/such.pth: no such file",
        "irnet.trained: none.pth: no such file",
    ):
        assert part in told


def test_xml_of_an_unknown_class(folder: Folder) -> None:
    (folder.root / "labels.csv").unlink()
    (folder.root / "Annotations" / "sub x").mkdir(parents=True)
    for image_id in PHOTOS:
        name = "emu" if image_id == "b" else "cat"
        folder.text(f"Annotations/{image_id}.xml", f"<a><object><name>{name}</name></object></a>")
    assert folder.index().classes == ("cat", "emu")
    assert "class 'emu' of image 'b' is not in dataset.classes; add it" in folder.problems(classes=["cat"])


def test_voc_ground_truth(folder: Folder) -> None:
    folder.truth("a", "sub x/é")
    folder.text("evaluate.txt", "a\nsub x/é\n")
    truth = folder.index(evaluate="evaluate.txt").truth
    assert truth is not None
    assert truth.image_ids == {"a", "sub x/é"}
    listed = json.loads((folder.results / "index" / truth.digest / "truth.json").read_text())
    assert listed["kind"] == "voc"
    assert listed["images"]["sub x/é"]["object"] == "SegmentationObject/sub x/é.png"
    assert len(listed["images"]["a"]["digests"]) == 2
    folder.photo("SegmentationObject/a.png", grey=2)
    again = folder.index(evaluate="evaluate.txt").truth
    assert again is not None
    assert again.digest != truth.digest


def test_coco_labels_and_ground_truth(folder: Folder) -> None:
    (folder.root / "labels.csv").unlink()
    images = [
        {"id": i, "file_name": f"{image_id}.jpg", "height": 24, "width": 32}
        for i, image_id in enumerate(PHOTOS)
    ]
    content = {
        "images": images,
        "categories": [{"id": 5, "name": "zebra"}, {"id": 6, "name": "ant"}],
        "annotations": [{"id": 1, "image_id": 0, "category_id": 6}],
    }
    folder.text("annotations.json", json.dumps(content))
    index = folder.index(evaluate="all", ground_truth="annotations.json")
    assert index.classes == ("zebra", "ant")
    assert [entry.labels for entry in index.train] == [(1,), (), (), ()]
    assert index.truth is not None
    listed = json.loads((folder.results / "index" / index.truth.digest / "truth.json").read_text())
    assert listed["images"]["sub x/é"] == "sub x/é.jpg"
    images[1]["height"] = 25
    folder.text("annotations.json", json.dumps(content | {"images": images}))
    assert "annotations.json: b.jpg: ground truth is 32×25 pixels" in folder.problems(
        evaluate="all", ground_truth="annotations.json"
    )


def test_weights_from_outside(folder: Folder, tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"weights")
    sections = {
        "cam": {"weights": str(weights)},
        "irnet": {"weights": "IMAGENET1K_V1", "trained": str(weights)},
    }
    files = folder.index(sections).files
    assert set(files) == {"cam.weights", "irnet.trained"}
    assert files["cam.weights"].path == str(weights.resolve())
    digest = files["cam.weights"].digest
    weights.write_bytes(b"weights2")
    assert folder.index(sections).files["cam.weights"].digest != digest


def test_neither_root_nor_times_matter(folder: Folder, tmp_path: Path) -> None:
    folder.truth(*PHOTOS)
    before = folder.index(evaluate="all")
    folder.root = folder.root.rename(tmp_path / "elsewhere")
    os.utime(folder.root / "images" / "a.jpg", (1, 1))
    assert folder.index(evaluate="all") == before
    link = tmp_path / "deep" / "link"
    link.parent.mkdir()
    link.symlink_to(folder.root)
    folder.root = link
    assert folder.index(evaluate="all") == before


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the photos that were opened."""
    names: list[str] = []
    examine = photo_files.examine

    def note(path: Path, *, max_pixels: int) -> photo_files.PhotoFacts:
        names.append(path.name)
        return examine(path, max_pixels=max_pixels)

    monkeypatch.setattr(photo_files, "examine", note)
    return names


def test_only_new_photos_are_opened(folder: Folder, opened: list[str]) -> None:
    before = folder.index()
    assert sorted(opened) == ["a.jpg", "b.jpg", "c.jpg", "é.jpg"]
    opened.clear()
    assert folder.index() == before
    assert opened == []
    folder.photo("images/b.jpg", (40, 30))
    folder.photo("images/new.jpg")
    folder.labels(PHOTOS | {"new": "cat"})
    assert folder.index().train[1].width == 40
    assert sorted(opened) == ["b.jpg", "new.jpg"]
    (folder.results / "index" / "digests.json").write_text("{")
    folder.index()
    assert len(opened) == 2 + 5


def test_what_was_learnt_is_kept_when_another_photo_fails(folder: Folder, opened: list[str]) -> None:
    (folder.root / "images" / "a.jpg").write_bytes(b"")
    folder.problems()
    opened.clear()
    folder.photo("images/a.jpg")
    folder.index()
    assert opened == ["a.jpg"]


def test_a_lowered_bound_is_noticed(folder: Folder) -> None:
    folder.index()
    assert "768 pixels exceed dataset.max_pixels 767" in folder.problems(max_pixels=767)


def test_own_results_and_ground_truth_are_no_photos(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    flat = tmp_path / "flat"
    (folder.root / "images").rename(flat)
    (folder.root / "labels.csv").rename(flat / "labels.csv")
    folder.root, folder.results = flat, flat / "results"
    folder.truth("a")
    folder.photo("results/report/x.png")
    folder.photo("outputs/run/y.png")
    index = folder.index({"runtime": {"outputs": str(flat / "outputs")}})
    assert ids(index.train) == ["a", "b", "c", "sub x/é"]


def test_links_that_lead_in_circles(folder: Folder) -> None:
    (folder.root / "images" / "loop").symlink_to(folder.root / "images")
    assert len(folder.index().train) == 4


def test_progress_is_shown_for_many_new_photos(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(photo_files, "QUIET_UP_TO", 2)
    folder.index()
    assert "examining new photos: 4/4" in capsys.readouterr().err
    folder.index()
    assert capsys.readouterr().err == ""


def test_indexing_imports_neither_arrays_nor_networks(folder: Folder) -> None:
    folder.index()
    code = (
        "import sys; from pathlib import Path\n"
        "from irnet_pipe.config import parse_config; from irnet_pipe.index import build_index\n"
        "build_index(parse_config({'dataset': {'root': sys.argv[1]}}), results=Path(sys.argv[2]))\n"
        "print([name for name in ('numpy', 'torch', 'h5py', 'PIL', 'snakemake') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(folder.root), str(folder.results)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"


def test_many_images_are_indexed_fast(tmp_path: Path) -> None:
    n = 5000
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(images / "0.png")
    data = (images / "0.png").read_bytes()
    for i in range(1, n):
        (images / f"{i}.png").write_bytes(data)
    rows = "".join(f"{i},cat\n" for i in range(n))
    (tmp_path / "labels.csv").write_text("image_id,labels\n" + rows)
    config = parse_config({"dataset": {"root": str(tmp_path)}})
    first = build_index(config, results=tmp_path / "results")
    start = time.process_time()
    assert build_index(config, results=tmp_path / "results") == first
    assert time.process_time() - start < 1.0  # 100,000 images within 5 s, with room for slow machines
