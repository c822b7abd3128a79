"""`snakemake tables`: what it plans and publishes, and a tiny run from photos to tables."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from irnet_pipe.errors import EXIT_INPUT
from irnet_pipe.table_rows import ROWS
from table_scores import TablesRun, with_tables

TABLES = Path("outputs", "tiny", "tables")


@pytest.fixture
def asking(project, monkeypatch):
    """The tiny project, which asks for tables, and paths of which are relative to its folder."""
    project.values |= with_tables(project.values, project.photos)
    project.values["shards"]["n"] = 1
    project.values["tables"]["segmenter_images"] = "unseen.txt"
    monkeypatch.chdir(project.folder)
    return project


def jobs(project, done) -> Counter[str]:
    """Jobs by rule, the target apart."""
    assert done.returncode == 0, done.stdout + done.stderr
    counts = project.jobs(done)
    del counts["tables"]
    return counts


def test_jobs_of_tables_are_those_of_their_plan(asking):
    found = jobs(asking, asking.snakemake("tables", "--dry-run"))
    plan = TablesRun(asking.values).run.plan
    expected = Counter(artifact.stage for artifact in plan.artifacts) - Counter(publish=1)
    assert found == expected + Counter(publish_tables=1)
    assert not (asking.folder / "outputs").exists()


def test_a_run_that_nobody_asks_for_tables_makes_none(asking):
    found = jobs(asking, asking.snakemake("--dry-run"))
    assert not {"publish_tables", "train_maskrcnn"} & found.keys()
    records = [json.loads(path.read_text()) for path in Path("results", "recipes").iterdir()]
    assert not [record for record in records if record["stage"] == "train_maskrcnn"]


def test_tables_of_scores_that_are_there(asking):
    """Scores are leaves; tables are published once, and anew when their marker is gone or seeds are added."""
    asking.values["tables"] |= {"rows": ["semantic_cam", "deeplab_truth"]}
    run = TablesRun(asking.values)
    for row in ("semantic_cam", "deeplab_truth"):
        run.score(row, mIoU=0.25)
    assert jobs(asking, asking.snakemake("tables")) == Counter(publish_tables=1)
    assert "| CAM | 25.0 |" in (TABLES / "tables.md").read_text(encoding="utf-8")
    assert asking.snakemake("tables", "--dry-run").stdout.count("publish_tables") == 0
    (marker,) = TABLES.glob("recipe-*.json")
    marker.unlink()
    assert jobs(asking, asking.snakemake("tables", "--dry-run")) == Counter(publish_tables=1)
    more = jobs(asking, asking.snakemake("tables", "--dry-run", "--config", 'tables={"seeds": [0, 7]}'))
    assert more["train_deeplab"] == more["evaluate_cam"] == more["train_cam"] == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seeds": []}, "error: tables.seeds names no seed"),
        (
            {"segmenter_images": "train.txt"},
            "error: tables.segmenter_images: 5 of 5 images are training images",
        ),
    ],
)
def test_bad_input_is_told_when_tables_are_asked_for(asking, values, message):
    asking.values["tables"] |= values
    done = asking.snakemake("tables", "--dry-run")
    assert done.returncode == EXIT_INPUT
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_from_photos_to_tables(asking):
    tiny = {"iterations": 1, "batch": 2, "freeze": "none", "batch_norm": "batch", "threads": 1}
    asking.values["maskrcnn"] |= {
        "train": {**tiny, "short_side": [32, 48], "max_side": 64, "regions": 16, "warm_up": 0},
        "infer": {"short_side": 48, "max_side": 64},
    }
    asking.values["deeplab"] |= {"train": {**tiny, "crop": 48}, "infer": {"scales": [1]}}
    rows = ["instance_cam", "semantic_cam", "maskrcnn_cam", "deeplab_truth"]
    asking.values["tables"]["rows"] = rows
    made = jobs(asking, asking.snakemake("tables"))
    assert made == Counter(
        train_cam=1,
        infer_cam=1,
        export_masks=1,
        train_maskrcnn=1,
        infer_maskrcnn=1,
        train_deeplab=1,
        infer_deeplab=1,
        evaluate_cam=1,
        evaluate_masks=3,
        publish_tables=1,
    )
    found = json.loads((TABLES / "tables.json").read_text(encoding="utf-8"))
    by_name = {row.name: row for row in ROWS}
    for name in rows:
        row = found["tables"][by_name[name].table]["rows"][name]
        (path,) = row["scores"].values()
        figures = json.loads(Path("results", path).read_text(encoding="utf-8"))["figures"]
        scores = {"mIoU": figures["semantic"]} if "semantic" in figures else {}
        scores |= figures.get("instance", {})
        for figure, cell in row["cells"].items():
            if "share" not in figure:
                assert cell["mean"] == pytest.approx(100 * scores[figure]["mean"], abs=1e-3), name
    assert found["costs"]["all"]["unknown"]["mean"] == 0
    assert found["costs"]["all"]["artifacts"]["mean"] == made.total() - 1
    costs = {name: cost["seconds"]["mean"] for name, cost in found["costs"].items()}
    assert sum(costs.values()) - costs["all"] > costs["all"] > max(costs[name] for name in rows) > 0
    text = (TABLES / "tables.csv").read_text(encoding="utf-8")
    assert {line["row"] for line in csv.DictReader(text.splitlines())} == {*rows, "all"}
    assert asking.snakemake("tables", "--dry-run").stdout.count("publish_tables") == 0
