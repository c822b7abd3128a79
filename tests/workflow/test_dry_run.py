"""What snakemake plans, and what it refuses before any job starts."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from irnet_pipe.config import parse_config
from irnet_pipe.errors import EXIT_INPUT
from irnet_pipe.workflow import prepare

WHOLE = Counter(
    train_cam=1,
    infer_cam=4,
    mine_relations=2,
    train_irnet=1,
    infer_irnet=4,
    calibrate_displacement=1,
    refine_displacement=4,
    propagate=4,
    export_masks=12,
    draw_thumbnails=4,
    gather_masks=3,
    evaluate_cam=1,
    evaluate_masks=3,
    report=1,
    publish=1,
)
"""Five training images and three others, each cut into two shards."""


def test_jobs_of_a_tiny_run(project):
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.jobs(done) == WHOLE
    assert not project.artifacts(), "a dry run makes no artifact"
    assert not (project.folder / "outputs").exists()
    records = list((project.folder / "results" / "recipes").glob("*.json"))
    assert len(records) == sum(WHOLE.values())


def test_lint(project):
    done = project.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("photo", ["sub dir/ä b.png"])
def test_truncated_photo_is_told_at_the_parse(project, photo):
    path = project.photos / "images" / photo
    path.write_bytes(path.read_bytes()[:500])
    project.values["seed"] = -1
    both = project.snakemake("--dry-run")
    assert both.returncode == EXIT_INPUT
    assert "error: config: seed is -1" in both.stderr
    project.values["seed"] = 0
    done = project.snakemake("--dry-run")
    assert done.returncode == EXIT_INPUT
    assert f"error: my photos/images/{photo}: cannot be decoded" in done.stderr.replace(
        f"{project.folder}/", ""
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("results", ["results", "my results"])
def test_failed_job_fails_the_run(project, monkeypatch, results):
    """The log of a job is written through a pipe, which must not hide that the job failed."""
    project.values["runtime"]["results"] = results
    monkeypatch.chdir(project.folder)
    project.values["shards"]["n"] = 1
    project.values["dataset"] |= {"label": None, "evaluate": None}
    plan = prepare(parse_config(project.values)).plan
    weights = project.folder / results / plan.of("train_cam")[0].path
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"no weights")
    done = project.snakemake("--until", "infer_cam")
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert "Error in rule infer_cam" in text
    error = f"error: {results}/{plan.of('train_cam')[0].path}: cannot be read"
    assert error in text
    (failed,) = plan.of("infer_cam")
    log = f"{results}/logs/infer_cam/{failed.unit}.{failed.recipe}.log"
    end = done.stderr[done.stderr.index(f"{failed.label}: failed; end of {log}:\n    {error}") :]
    assert len(end.splitlines()) < 12, "it is near the end of what a person sees"
    assert not list((project.folder / results).glob("infer_cam/*.h5"))
    assert weights.read_bytes() == b"no weights", "inputs of a failed job stay"


def test_artifacts_that_exist_are_leaves(project, monkeypatch):
    """Only what a missing artifact needs is made; files that lie above it may be gone."""
    monkeypatch.chdir(project.folder)
    plan = prepare(parse_config(project.values)).plan
    for artifact in (*plan.of("propagate"), *plan.of("infer_cam")):
        path = project.folder / "results" / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stands in for an artifact")
    project.values["export"]["variants"] = ["full"]
    project.values["dataset"]["evaluate"] = None
    project.values["report"] = {"images": 0}
    expected = {"export_masks", "draw_thumbnails", "gather_masks", "report", "publish"}
    trained = {"train_cam", "train_irnet", "calibrate_displacement", "infer_irnet", "mine_relations"}
    assert set(project.jobs(project.snakemake("--dry-run"))) - trained == expected


def test_publication_that_exists_is_left_alone(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    recipe = prepare(parse_config(project.values)).plan.targets[0].recipe
    outputs = project.folder / "outputs" / "tiny"
    outputs.mkdir(parents=True)
    (outputs / "masks.json").write_text("{}")
    (outputs / f"recipe-{recipe}.json").write_text(json.dumps({"recipe": recipe}))
    done = project.snakemake("--dry-run")
    assert done.returncode == 0
    assert project.jobs(done) == Counter()
