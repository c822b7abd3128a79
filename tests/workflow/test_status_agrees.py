"""The jobs that `status` announces are those that snakemake plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tiny_project import Project

from irnet_pipe.config import parse_config
from irnet_pipe.status import status_of
from irnet_pipe.workflow import PlannedRun, plan_for, prepare


def announced(project: Project) -> Counter[str]:
    status = status_of(plan_for(parse_config(project.values)))
    return Counter({stage.stage: len(stage.to_do) for stage in status.stages if stage.to_do})


def finish(project: Project) -> PlannedRun:
    """Stand-ins for everything that a run makes."""
    run = prepare(parse_config(project.values))
    for artifact in run.plan.artifacts:
        if artifact.stage != "publish":
            path = run.results / artifact.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    outputs = project.folder / "outputs" / "tiny"
    outputs.mkdir(parents=True)
    for name in ("masks.json", f"recipe-{run.plan.targets[0].recipe}.json"):
        (outputs / name).touch()
    return run


def lose(run: PlannedRun, *stages: str) -> None:
    for stage in stages:
        for artifact in run.plan.of(stage)[:1]:
            (run.results / artifact.path).unlink()


def nothing_done(project: Project) -> Counter[str]:
    return Counter(train_cam=1, publish=1)


def lost_and_needed(project: Project) -> Counter[str]:
    """A late key needs one of the lost maps, and nothing needs lost weights."""
    run = finish(project)
    lose(run, "infer_cam", "infer_irnet", "train_cam", "calibrate_displacement")
    project.values["random_walk"] = {"beta": 4}
    project.values["report"] = {"images": 0}
    return Counter(infer_cam=1, propagate=4, publish=1)


def lost_and_not_needed(project: Project) -> Counter[str]:
    lose(finish(project), "infer_cam", "train_irnet", "gather_masks", "report")
    return Counter()


def without_marker(project: Project) -> Counter[str]:
    run = finish(project)
    next((project.folder / "outputs" / "tiny").glob("recipe-*")).unlink()
    lose(run, "gather_masks", "export_masks")
    return Counter(gather_masks=1, export_masks=1, publish=1)


def appended_label_only_image(project: Project) -> Counter[str]:
    project.values["dataset"]["evaluate"] = None
    finish(project)
    Image.new("RGB", (48, 40), "green").save(project.photos / "images" / "new one.png")
    with (project.photos / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("new one,box\n")
    return Counter(infer_cam=1, export_masks=3, publish=1)


def shards(project: Project) -> Counter[str]:
    finish(project)
    project.values["shards"]["n"] = 3
    return Counter(train_irnet=1, publish=1)


def check(project: Project, change: Callable[[Project], Counter[str]]) -> None:
    expected = change(project)
    jobs = announced(project)
    assert expected <= jobs
    assert bool(expected) == bool(jobs)
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.jobs(done) == jobs


@pytest.fixture(autouse=True)
def here(project, monkeypatch) -> Path:
    monkeypatch.chdir(project.folder)
    return project.folder


def test_lost_artifacts_that_are_needed(project):
    check(project, lost_and_needed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [nothing_done, lost_and_not_needed, without_marker, appended_label_only_image, shards]
)
def test_other_changes(project, change):
    check(project, change)
