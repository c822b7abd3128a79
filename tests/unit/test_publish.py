"""Publication under plain names."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irnet_pipe import publish as module
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.errors import ArtifactError
from irnet_pipe.export.voc import write_tar
from irnet_pipe.publish import publish
from irnet_pipe.recipes import Parent, Record, record_path, write_record
from irnet_pipe.runtime.attempts import attempt

FIGURE = {"mean": 0.5, "classes": {"cat": 0.5}}
SCORES = {"images": 1, "images_with_predicted_classes": 0}


class Results:
    """A results folder with gathered masks of variants, scores and a report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "results"
        self.output = folder / "outputs" / "my run"

    def record(self, stage: str, name: str, parents: tuple[Parent, ...] = (), **facts: object) -> Record:
        recipe = name.encode().hex()[:16].ljust(16, "0")
        tars = dict.fromkeys(("gather_masks", "draw_thumbnails"), "tar")
        ext = (tars | {"report": "html", "train_cam": "pth"}).get(stage, "json")
        path = f"{stage}/all.{recipe}.{ext}"
        spec = {"config": {}, "files": {}, **facts}
        record = Record(recipe, stage, 1, "all", f"{stage} all", path, spec, parents, (), {})
        write_record(self.folder, record)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        return record

    def masks(self, variant: str, *parents: Parent) -> Parent:
        record = self.record("gather_masks", variant, parents, variant=variant)
        names = ["masks.json", "counts.json", "SegmentationClass/a/ä b.png", "SegmentationObject/a/ä b.png"]
        stream = io.BytesIO()
        write_tar(stream, [(name, f"{name} of {variant}".encode()) for name in names])
        return self.write(record, stream.getvalue())

    def scores(self, variant: str, stage: str = "evaluate_masks") -> Parent:
        record = self.record(stage, f"s {variant}")
        write_json(
            self.folder / record.path, record, SCORES | {"variant": variant, "figures": {"semantic": FIGURE}}
        )
        return Parent(record.stage, "all", record.recipe, record.path)

    def report(self) -> Parent:
        return self.write(self.record("report", "report"), b"<html>")

    def thumbnails(self, unit: str) -> Parent:
        record = self.record("draw_thumbnails", f"t {unit}")
        stream = io.BytesIO()
        write_tar(stream, [("0-photo.jpeg", b"photo"), ("rows.js", b"gallery.unit({});\n")])
        return dataclasses.replace(self.write(record, stream.getvalue()), unit=unit)

    def write(self, record: Record, content: bytes) -> Parent:
        (self.folder / record.path).write_bytes(content)
        return Parent(record.stage, "all", record.recipe, record.path)

    def publication(self, name: str, *parents: Parent) -> Path:
        record = self.record("publish", name, parents)
        return record_path(self.folder, record.recipe)

    def tree(self) -> set[str]:
        return {path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path)


UNPACKED = {"masks.json", "counts.json", "SegmentationClass/a/ä b.png", "SegmentationObject/a/ä b.png"}
PLAIN = UNPACKED | {"costs.html", "costs.csv"}


def test_last_variant_is_the_one_of_plain_names(results):
    recipe = results.publication("one", results.masks("cam"), results.masks("full"), results.report())
    publish(recipe, results.output)
    others = {f"variants/cam/{name}" for name in UNPACKED}
    assert results.tree() == PLAIN | others | {"report.html", f"recipe-{recipe.stem}.json"}
    assert (results.output / "masks.json").read_text() == "masks.json of full"
    assert (results.output / "variants/cam/masks.json").read_text() == "masks.json of cam"


def test_scores_in_three_forms(results):
    scores = [results.scores("raw CAM", "evaluate_cam"), results.scores("cam"), results.scores("full")]
    publish(results.publication("one", results.masks("full"), *scores), results.output)
    assert {"scores.json", "scores.csv", "summary.txt"} <= results.tree()
    content = json.loads((results.output / "scores.json").read_text())
    assert content["images"] == 1
    assert list(content["variants"]) == ["raw CAM", "cam", "full"]
    assert [found["recipe"] for found in content["variants"].values()] == [part.recipe for part in scores]


def test_marker_names_what_it_is_made_of(results):
    parents = [results.masks("cam"), results.masks("full")]
    recipe = results.publication("one", *parents)
    publish(recipe, results.output)
    marker = json.loads((results.output / f"recipe-{recipe.stem}.json").read_text())
    assert marker["from"] == [parent.path for parent in parents]


def test_nothing_of_an_earlier_publication_stays(results):
    publish(
        results.publication("one", results.masks("cam"), results.masks("full"), results.scores("full")),
        results.output,
    )
    recipe = results.publication("two", results.masks("boundary"))
    publish(recipe, results.output)
    assert results.tree() == PLAIN | {f"recipe-{recipe.stem}.json"}
    assert (results.output / "masks.json").read_text() == "masks.json of boundary"


def test_thumbnails_lie_beside_the_report_by_shard(results):
    units = ("train-00-of-01", "label-00-of-01")
    recipe = results.publication(
        "one", results.masks("full"), *map(results.thumbnails, units), results.report()
    )
    publish(recipe, results.output)
    beside = {f"report_files/{unit}/{name}" for unit in units for name in ("0-photo.jpeg", "rows.js")}
    assert {name for name in results.tree() if name.startswith("report_files")} == beside
    publish(results.publication("two", results.masks("full"), results.report()), results.output)
    assert not (results.output / "report_files").exists()


def test_files_of_others_stay(results):
    results.output.mkdir(parents=True)
    (results.output / "notes.txt").write_text("mine")
    publish(results.publication("one", results.masks("full")), results.output)
    assert (results.output / "notes.txt").read_text() == "mine"


def test_files_are_dated_when_they_are_published(results):
    start = time.time() - 5
    publish(results.publication("one", results.masks("full")), results.output)
    assert all(path.stat().st_mtime > start for path in results.output.rglob("*"))


def test_costs_are_those_of_everything_above(results):
    """Through all parents, whenever they were made."""
    above = results.record("train_cam", "above")
    results.write(above, b"weights")
    masks = results.masks("full", Parent("train_cam", "all", above.recipe, above.path))
    with attempt(above, results.folder):
        pass
    publish(results.publication("one", masks), results.output)
    rows = list(csv.DictReader((results.output / "costs.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["stage"], row["outcome"]) for row in rows] == [
        ("train_cam", "ok"),
        ("gather_masks", "unknown"),
    ]
    page = (results.output / "costs.html").read_text(encoding="utf-8")
    assert "Of all that the publication of my run is made of." in page
    assert 'href="report.html"' in page


def test_marker_comes_last(results, monkeypatch):
    """A crash leaves no marker that vouches for half of the files."""
    publish(results.publication("one", results.masks("full")), results.output)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_copy", crash)
    with pytest.raises(KeyboardInterrupt):
        publish(results.publication("two", results.masks("full")), results.output)
    assert not list(results.output.glob("recipe-*"))


def test_missing_artifact_is_told_before_anything_is_removed(results):
    publish(results.publication("one", results.masks("full")), results.output)
    before = results.tree()
    report = results.report()
    recipe = results.publication("two", results.masks("full"), report)
    (results.folder / report.path).unlink()
    with pytest.raises(ArtifactError, match=r"report/all\..*html: artifact is missing; run snakemake"):
        publish(recipe, results.output)
    assert results.tree() == before


def test_masks_cut_between_two_files_are_damaged(results):
    """Python reads such a tar without complaint."""
    parent = results.masks("full")
    path = results.folder / parent.path
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"SegmentationClass/")])
    with pytest.raises(ArtifactError, match=r"\.tar: damaged .*delete it and run snakemake again"):
        publish(results.publication("one", parent), results.output)
    assert not list(results.output.glob("recipe-*"))


def test_damaged_masks(results):
    masks = results.masks("full")
    path = results.folder / masks.path
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ArtifactError, match=r"\.tar: damaged .*delete it and run snakemake again"):
        publish(results.publication("one", masks), results.output)


def test_damaged_report(results):
    report = results.report()
    (results.folder / report.path).write_bytes(b"<html>\xff")
    with pytest.raises(ArtifactError, match=r"\.html: damaged .*delete it and run snakemake again"):
        publish(results.publication("one", results.masks("full"), report), results.output)
    assert not list(results.output.glob("recipe-*"))


def test_command_line(results):
    recipe = results.publication("one", results.masks("full"))

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "irnet_pipe.publish", "--recipe", path, "--output", results.output]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(recipe).returncode == 0
    assert "masks.json" in results.tree()
    failed = run(recipe.with_name("none.json"))
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and "Traceback" not in failed.stderr
