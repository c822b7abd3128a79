"""Names that try to get somewhere, from the photos to what is published: none leaves its folder or becomes code."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_pipeline import Pipeline

from irnet_pipe.config import parse_config
from irnet_pipe.errors import ArtifactError, InputError
from irnet_pipe.publish import publish
from irnet_pipe.recipes import Parent, Record, record_path, write_record
from irnet_pipe.report.gallery_data import script_json
from irnet_pipe.workflow import prepare

SCRIPT = "<script>alert('x')</script>"
IMAGE_IDS = [
    "<script>alert('x')<",
    "<img src=x onerror=alert(1)>",
    "case",
    "%2e%2e%2fup",
    "..%2fup",
    "a..b",
    "back\\..\\slash",
    "new\nline",
    "two  spaces",
    "$(touch owned)`touch owned`",
    f"{'deep/' * 30}{'l' * 200}",
]
LISTED = [image_id for image_id in IMAGE_IDS if not image_id.startswith(".")]
"""What begins with a dot is hidden, and no photo."""


def write_photos(folder: Path) -> Path:
    rows = []
    for number, image_id in enumerate(IMAGE_IDS):
        path = folder / "images" / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        if image_id in LISTED:
            rows.append((f"{image_id}.png", SCRIPT if number % 2 else "disc"))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image_id", "labels"), *rows])
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, make_tiny_values, trained):
    folder = tmp_path_factory.mktemp("hostile")
    values = make_tiny_values(write_photos(folder / "photos"), folder)
    values["dataset"] |= {"train": "all", "label": None, "evaluate": None, "ground_truth": None}
    values["export"]["variants"] = ["cam"]
    values["report"] = {"images": len(IMAGE_IDS)}
    values["shards"] = {"n": 1}
    return Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet}), folder


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_every_image_keeps_its_name(hostile):
    pipeline, _ = hostile
    assert [entry.image_id for entry in pipeline.index.label] == sorted(LISTED)


def test_masks_are_published_where_they_belong(hostile, tmp_path):
    pipeline, folder = hostile
    for artifact in (*pipeline.plan.of("gather_masks"), *pipeline.plan.of("report")):
        pipeline.make(artifact)
    output = tmp_path / "outputs" / "run"
    publish(record_path(pipeline.results, pipeline.plan.targets[0].recipe), output)
    for kind in ("SegmentationClass", "SegmentationObject"):
        found = {path.relative_to(output / kind).as_posix() for path in (output / kind).rglob("*.png")}
        assert found == {f"{image_id}.png" for image_id in LISTED}
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert [path.name for path in output.parent.iterdir()] == ["run"]
    files = {image["file_name"] for image in json.loads((output / "masks.json").read_text())["images"]}
    assert files == {f"images/{image_id}.png" for image_id in LISTED}
    assert {path.name for path in folder.iterdir()} == {"photos", "results"}


def test_report_shows_names_as_text(hostile):
    pipeline, _ = hostile
    text = pipeline.make(pipeline.artifact("report")).read_text(encoding="utf-8")
    page = Tags(text)
    assert text.count("<script") == text.count("</script>")
    assert not {name for name in page.attributes if name.startswith("on")}
    for name in (SCRIPT, *LISTED[:2]):
        assert script_json(name) in text
    assert SCRIPT in page.text, "as the name of a class"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "images/../../outside", "x" * 300, "cASE"])
def test_lists_name_nothing_outside(hostile, tmp_path, make_tiny_values, name):
    _, folder = hostile
    Image.new("RGB", (24, 24)).save(folder / "outside.png")
    (tmp_path / "list.txt").write_text(f"case\n{name}\n")
    values = make_tiny_values(folder / "photos", tmp_path)
    values["dataset"] |= {"train": str(tmp_path / "list.txt"), "label": None, "evaluate": None}
    with pytest.raises(InputError) as caught:
        prepare(parse_config(values))
    (folder / "outside.png").unlink()
    assert any(f"{name!r} has no photo" in problem for problem in caught.value.problems)


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/escaped", "link"])
def test_archive_that_was_tampered_with(tmp_path, name):
    results, output = tmp_path / "results", tmp_path / "outputs" / "run"
    masks = Record(
        "1" * 16, "gather_masks", 1, "all", "", "gather_masks/x.tar", {"variant": "full"}, (), (), {}
    )
    parent = Parent("gather_masks", "all", masks.recipe, masks.path)
    whole = Record("2" * 16, "publish", 1, "all", "", "publish/x.json", {}, (parent,), (), {})
    for record in (masks, whole):
        write_record(results, record)
    (results / "gather_masks").mkdir()
    with tarfile.open(results / masks.path, "w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "../../results"
        member.size = 0
        tar.addfile(member, io.BytesIO())
    with pytest.raises(ArtifactError, match=r"x\.tar: damaged .*delete it and run snakemake"):
        publish(record_path(results, whole.recipe), output)
    assert {path.name for path in tmp_path.iterdir()} == {"results", "outputs"}
    assert not list(output.glob("recipe-*"))
    assert not Path("/escaped").exists()
