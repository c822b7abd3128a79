"""Snakemake against the plan: with files standing in for artifacts, a dry run lists the jobs that the plan lacks."""

from __future__ import annotations

import copy
import re
import sys

import pytest
from tiny_project import Project

from first_stages import FIRST_STAGES, NEEDED, changed, first_changes, plan_of, values_before_and_after
from irnet_pipe.stage_table import STAGES
from reruns import StandIns

KEYS = {
    "train_cam": "cam.train.lr",
    "infer_cam": "cam.infer.scales",
    "mine_relations": "relations.crf.iterations",
    "train_irnet": "irnet.radius",
    "infer_irnet": "irnet.infer.canvas",
    "refine_displacement": "displacement.iterations",
    "propagate": "random_walk.beta",
    "mine_affinitynet": "affinitynet.relations.alpha_low",
    "train_affinitynet": "affinitynet.train.lr",
    "propagate_affinitynet": "affinitynet.walk.beta",
    "export_masks": "export.instance.bg_threshold",
    "draw_thumbnails": "report.thumbnail",
    "train_maskrcnn": "maskrcnn.train.lr",
    "infer_maskrcnn": "maskrcnn.infer.nms",
    "train_deeplab": "deeplab.train.lr",
    "infer_deeplab": "deeplab.infer.scales",
    "evaluate_cam": "evaluation.cam_bg_threshold",
    "evaluate_masks": "evaluation.iou",
    "report": "report.images",
    "publish": "run",
}
"""Stage → a key that changes it first."""

LOST = {"calibrate_displacement": "displacement.iterations", "gather_masks": "run"}
"""Stage that no key changes first → a key that needs its artifact, which is lost."""


class Folder:
    """A project whose artifacts are stand-ins."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.usual = copy.deepcopy(project.values)
        self.stand_ins = StandIns(project.values)
        self.stand_ins.make()

    def change(self, *, lost: str | None = None, **paths: object) -> set[str]:
        """Set keys and lose the first artifact of a stage; returns recipes that the plan wants and that are missing."""
        self.project.values = self.stand_ins.values = changed(self.usual, **paths)
        if lost is not None:
            self.stand_ins.path(self.stand_ins.plan().of(lost)[0]).unlink()
        return {artifact.recipe for artifact in self.stand_ins.missing()}

    def jobs(self) -> set[str]:
        """Recipes of the jobs that a dry run lists."""
        done = self.project.snakemake("--dry-run", "--printshellcmds")
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"--recipe '?results/recipes/([0-9a-f]{16})\.json", done.stdout + done.stderr))

    def restore(self) -> None:
        """Go back to the finished run."""
        self.project.values = self.stand_ins.values = copy.deepcopy(self.usual)
        self.stand_ins.make()


@pytest.fixture
def folder(project, monkeypatch) -> Folder:
    monkeypatch.chdir(project.folder)  # results are relative to it
    return Folder(project)


def test_snakemake_runs_what_is_missing(folder):
    assert folder.jobs() == set()
    missing = folder.change(random_walk__beta=4)
    assert {artifact.stage for artifact in folder.stand_ins.missing()} >= {"propagate", "publish"}
    assert folder.jobs() == missing


def changes() -> dict[str, dict[str, object]]:
    """What is changed in each dry run."""
    of_stages = {
        stage: {**NEEDED.get(path, {}), path: FIRST_STAGES[path][0]} for stage, path in (KEYS | LOST).items()
    }
    return {
        **{stage: change | ({"lost": stage} if stage in LOST else {}) for stage, change in of_stages.items()},
        "select_relation_thresholds": {"relations.fg_threshold": "auto"},
        "select_thresholds": {"export.instance.bg_threshold": "auto"},
        "a lost shard, then a late key": {"lost": "infer_cam", "random_walk.beta": 4},
        "more shards": {"shards.n": 4},
    }


@pytest.mark.slow
def test_matrix(folder, make_tiny_values, photo_set, trained, tmp_path, monkeypatch, capsys):
    """Every leaf by the plan, every stage by a dry run; counts are printed."""
    wrong: list[str] = []
    for number, (path, (_, expected)) in enumerate(FIRST_STAGES.items()):
        place = tmp_path / str(number)
        place.mkdir()
        with monkeypatch.context() as context:
            context.chdir(place)
            tiny = make_tiny_values(photo_set, place)
            before, after = values_before_and_after(path, tiny, photo_set, trained, folder=place)
            if first_changes(plan_of(before), plan_of(after)) != set(expected):
                wrong.append(path)
    for name, change in changes().items():
        missing = folder.change(**change)
        stages = {artifact.stage for artifact in folder.stand_ins.missing()}
        if folder.jobs() != missing or (name in STAGES and name not in stages):
            wrong.append(name)
        folder.restore()
    with capsys.disabled():
        sys.stdout.write(
            f"\nleaves {len(FIRST_STAGES)}, dry runs {len(changes())}, mismatches {len(wrong)}\n"
        )
    assert wrong == []


def test_every_stage_has_a_dry_run():
    assert changes().keys() >= STAGES.keys()


@pytest.mark.slow
def test_changed_and_changed_back_publishes_alone(folder):
    folder.change(random_walk__beta=4)
    folder.stand_ins.make()
    missing = folder.change()
    assert folder.jobs() == missing
    assert [artifact.stage for artifact in folder.stand_ins.missing()] == ["publish"]
