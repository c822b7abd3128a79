"""A tiny run from photos to report by snakemake, and what a change of config or files makes run again."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from tiny_project import ROOT, Project

from irnet_pipe.recipes import read_record
from irnet_pipe.report.gallery_data import read_unit

pytestmark = pytest.mark.slow

UNITS = 2
VARIANTS = 3
WHOLE = Counter(
    train_cam=1,
    infer_cam=UNITS,
    mine_relations=1,
    train_irnet=1,
    infer_irnet=UNITS,
    calibrate_displacement=1,
    refine_displacement=UNITS,
    propagate=UNITS,
    export_masks=UNITS * VARIANTS,
    draw_thumbnails=UNITS,
    gather_masks=VARIANTS,
    evaluate_cam=1,
    evaluate_masks=VARIANTS,
    report=1,
    publish=1,
)
"""One shard of training images and one of images that are only labelled."""
PUBLISH = Counter(publish=1)


def start(folder: Path, photo_set: Path, values: dict) -> Project:
    folder.mkdir()
    project = Project(folder, photo_set, values)
    values["shards"]["n"] = 1
    for section in ("cam", "irnet"):
        for part in ("train", "infer"):
            values[section][part]["precision"] = "bf16"
    return project


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photo_set, make_tiny_values) -> Project:
    folder = tmp_path_factory.mktemp("small run")
    project = start(folder / "my project", photo_set, make_tiny_values(photo_set, folder))
    project.values["runtime"]["workers"] = 2
    done = project.snakemake(cores=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.jobs(done) == WHOLE
    assert "published: outputs/tiny/report.html" in done.stderr.splitlines()
    assert "published:" not in project.snakemake(cores=2).stderr, "nothing was to be done"
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished run."""
    project = object.__new__(Project)
    project.folder = shutil.copytree(finished.folder, tmp_path / "copy")
    project.photos = project.folder / finished.photos.name
    project.values = json.loads(json.dumps(finished.values))
    return project


def test_what_people_open(project):
    published = project.published()
    images = [f"{kind}/sub dir/ä b.png" for kind in ("SegmentationClass", "SegmentationObject")]
    files = {"masks.json", "counts.json", "scores.json", "scores.csv", "summary.txt", "report.html", *images}
    assert {f"tiny/{name}" for name in files} <= set(published)
    assert {f"tiny/variants/{variant}/masks.json" for variant in ("cam", "boundary")} <= set(published)
    masks = json.loads(published["tiny/masks.json"])
    assert len(masks["images"]) == 8
    assert "full" in published["tiny/summary.txt"].decode()


def test_report_of_snakemake_over_the_whole_graph(project):
    project.values["runtime"]["whole_graph"] = True
    done = project.snakemake("--report", "whole.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Missing metadata" not in done.stdout + done.stderr
    page = (project.folder / "whole.html").read_text(encoding="utf-8")
    for told in (
        "from image-level labels by IRNet",
        "a gallery of the labelled images",
        "How many images and masks",
    ):
        assert told in page, told
    assert "mIoU of the semantic masks" in page
    for rule in (*WHOLE, "tiny/report.html", "tiny/scores.csv", "tiny/counts.json"):
        assert rule in page, rule


def test_review_is_honoured(project):
    """A mask that is marked wrong is gone from what is published; nothing above its masks runs again."""
    before = json.loads(project.published()["tiny/masks.json"])
    (row,) = [found for found in rows_of(project) if found["id"] == "label only"]
    said = {
        "format": "irnet_pipe.review",
        "version": 1,
        "images": {"label only": {"wrong": [row["masks"][0]["name"]]}},
    }
    (project.folder / "review.json").write_text(json.dumps(said), encoding="utf-8")
    project.values["review"] = "review.json"
    assert project.run() == Counter(
        export_masks=1, draw_thumbnails=1, gather_masks=1, evaluate_masks=1, report=1, publish=1
    )
    after = json.loads(project.published()["tiny/masks.json"])
    assert after["images"] == before["images"]
    assert len(after["annotations"]) == len(before["annotations"]) - 1
    (now,) = [found for found in rows_of(project) if found["id"] == "label only"]
    assert [mask["name"] for mask in now["left_out"]] == [row["masks"][0]["name"]]
    del project.values["review"]
    assert project.run() == PUBLISH


def rows_of(project) -> list[dict]:
    """What the published gallery is told of each image."""
    page = project.published()["tiny/report.html"].decode()
    units = re.findall(r"^gallery\.unit\(.*\);$", page, flags=re.MULTILINE)
    return [row for unit in units for row in read_unit(f"{unit}\n")["rows"]]


def test_every_job_tells_what_it_did_and_cost(project):
    text = (project.folder / "outputs/tiny/costs.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    expected = WHOLE - PUBLISH
    assert Counter(row["stage"] for row in rows) == expected
    assert {row["outcome"] for row in rows} == {"ok"}
    assert all(float(row["seconds"]) > 0 and int(row["peak_memory"]) > 1 << 20 for row in rows)
    page = (project.folder / "outputs/tiny/costs.html").read_text(encoding="utf-8")
    assert page.count("<rect") == expected.total()
    results = project.folder / "results"
    for folder in ("events", "facts", "logs", "benchmarks"):
        made = Counter(path.parent.name for path in (results / folder).rglob("*.*"))
        assert made - PUBLISH == expected, folder
    for path in (results / "events").rglob("*.jsonl"):
        names = [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]
        assert (names[0], names[-1]) == ("started", "ended")


def test_cost_of_what_was_made_earlier_stays(project):
    def starts() -> dict[str, str]:
        text = (project.folder / "outputs/tiny/costs.csv").read_text(encoding="utf-8")
        return {row["recipe"]: row["start"] for row in csv.DictReader(text.splitlines())}

    before = starts()
    for path in (project.folder / "results" / "facts").rglob("all.*"):
        path.unlink()
    for path in (project.folder / "results" / "events" / "train_cam").iterdir():
        path.unlink()
    project.values["dataset"]["evaluate"] = None
    project.run()
    after = starts()
    (trained,) = (project.folder / "results" / "train_cam").iterdir()
    lost = trained.name.split(".")[1]
    assert after[lost] == ""
    kept = before.keys() & after.keys() - {lost}
    assert len(kept) > 10 and all(before[recipe] == after[recipe] for recipe in kept)


def test_nothing_to_do_the_second_time(project):
    assert project.run() == Counter()


def test_lost_metadata_change_nothing(project):
    shutil.rmtree(project.folder / ".snakemake")
    for age, path in enumerate(sorted((project.folder / "results").rglob("*.*"))):
        os.utime(path, (1e9 - age, 1e9 - age))
    assert project.run() == Counter()


def test_touched_and_edited_sources_change_nothing(project, tmp_path):
    """Versions of stages are what counts: a comment in a stage or a rule repeats no work."""
    project.sources = tmp_path / "sources"
    project.sources.mkdir()
    for name in ("Snakefile", "environment.yml", "workflow", "profiles", "src"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project.sources / name)
    for name in ("Snakefile", "workflow/rules/instances.smk", "src/irnet_pipe/stages/propagate.py"):
        with (project.sources / name).open("a", encoding="utf-8") as file:
            file.write("# another comment\n")
    for path in project.sources.rglob("*.*"):
        path.touch()
    assert project.run("--dry-run") == Counter()


def test_changed_walk_and_back(project):
    before = project.published()
    project.values["random_walk"] = {"beta": 4}
    expected = Counter(
        propagate=UNITS,
        export_masks=UNITS * (VARIANTS - 1),
        draw_thumbnails=UNITS,
        gather_masks=VARIANTS - 1,
        evaluate_masks=VARIANTS - 1,
        report=1,
        publish=1,
    )
    assert project.run() == expected
    del project.values["random_walk"]
    assert project.run() == PUBLISH
    assert project.published() == before


def test_changed_threshold_of_export(project):
    project.values["export"]["instance"] = {"bg_threshold": 0.5}
    masks = UNITS * VARIANTS
    assert project.run() == Counter(
        export_masks=masks,
        draw_thumbnails=UNITS,
        gather_masks=VARIANTS,
        evaluate_masks=VARIANTS,
        report=1,
        publish=1,
    )


def test_sweep_shares_what_is_there(project):
    alone = project.published()
    project.values["sweep"] = {"export.instance.bg_threshold": [0.25, 0.5]}
    ran = project.run()
    publications = [rule for rule in ran if rule.startswith("publish_")]
    assert ran - Counter(publications) == Counter(
        export_masks=UNITS * VARIANTS,
        draw_thumbnails=UNITS,
        gather_masks=VARIANTS,
        evaluate_masks=VARIANTS,
        report=1,
    )
    swept = project.published()
    same, other = (f"tiny/export.instance.bg_threshold={value}/" for value in (0.25, 0.5))
    for name in ("masks.json", "scores.json", "report.html", "variants/cam/masks.json"):
        assert swept[same + name] == alone[f"tiny/{name}"] != swept[other + name], name
    assert len(publications) == 3
    assert {f"tiny/settings/{name}" for name in ("settings.html", "settings.csv")} <= swept.keys()
    assert project.run() == Counter()


def test_deleted_intermediate_is_not_missed(project):
    for path in (project.folder / "results" / "infer_cam").glob("train-*"):
        path.unlink()
    assert project.run() == Counter()


def test_label_only_image_appended(project):
    Image.new("RGB", (48, 40), "green").save(project.photos / "images" / "new one.png")
    with (project.photos / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("new one,box\n")
    path = project.photos / "truth.json"
    truth = json.loads(path.read_text(encoding="utf-8"))
    truth["images"].append({"id": 99, "file_name": "new one.png", "height": 40, "width": 48})
    path.write_text(json.dumps(truth), encoding="utf-8")
    expected = Counter(dict.fromkeys(WHOLE, 1)) + Counter(export_masks=2, gather_masks=2, evaluate_masks=2)
    for stage in ("train_cam", "mine_relations", "train_irnet", "calibrate_displacement"):
        del expected[stage]
    assert project.run() == expected
    masks = json.loads(project.published()["tiny/masks.json"])
    assert "images/new one.png" in [image["file_name"] for image in masks["images"]]


def test_run_without_evaluation_leaves_no_old_scores(project):
    project.values["dataset"]["evaluate"] = None
    assert project.run() == Counter(report=1, publish=1)
    assert not [name for name in project.published() if "scores" in name or "summary" in name]


def test_stage_by_hand_equals_that_of_the_workflow(project):
    results = project.folder / "results"
    for stage in ("infer_cam", "propagate", "gather_masks"):
        artifact = min((results / stage).iterdir())
        recipe = results / "recipes" / f"{artifact.name.split('.')[-2]}.json"
        assert read_record(recipe).path == f"{stage}/{artifact.name}"
        output = project.folder / "by hand"
        command = [
            sys.executable,
            "-m",
            "irnet_pipe",
            stage,
            "--recipe",
            str(recipe),
            "--output",
            str(output),
        ]
        command += ["--root", str(project.photos), "--device", "cpu"]
        subprocess.run(command, check=True, capture_output=True)
        assert output.read_bytes() == artifact.read_bytes(), stage


def test_other_number_of_cores_and_workers_gives_the_same_bytes(
    finished, tmp_path, photo_set, make_tiny_values
):
    again = start(tmp_path / "again", photo_set, make_tiny_values(photo_set, tmp_path))
    assert again.run(cores=1) == WHOLE
    expected, found = finished.artifacts(), again.artifacts()
    assert sorted(found) == sorted(expected)
    assert [path for path in found if found[path] != expected[path]] == []
    assert again.published() == finished.published()
