"""`irnet-pipe plan` beside what a run then takes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
import yaml
from tiny_project import Project

pytestmark = pytest.mark.slow


def plan(project: Project) -> tuple[dict, str]:
    """What the verb says of the config as it is now, and on stderr."""
    (project.folder / "my.yaml").write_text(yaml.safe_dump(project.values), encoding="utf-8")
    words = [sys.executable, "-m", "irnet_pipe", "plan", "--json", "--config", "my.yaml"]
    done = subprocess.run(words, cwd=project.folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_plan_run_and_plan_of_a_change(project):
    project.values["shards"]["n"] = 1
    before, said = plan(project)
    assert "without" not in said, "every job of the calibration ends well"
    sources = {stage["stage"]: stage["by"] for stage in before["stages"]}
    assert sources.pop("publish") == sources.pop("report") == ["general figures"]
    assert set(map(tuple, sources.values())) == {("calibration",)}
    assert plan(project)[1] == "", "what was measured is kept"

    done = project.run()
    assert done.total() == before["jobs"]
    text = (project.folder / "outputs/tiny/costs.csv").read_text(encoding="utf-8")
    taken = sum(float(row["cpu_seconds"]) for row in csv.DictReader(text.splitlines()))
    # Other programs share the machine of the tests: what is planned is the order of magnitude.
    assert taken / 3 < before["cpu_seconds"] < taken * 3

    project.values["random_walk"] = {"beta": 4}
    after, said = plan(project)
    assert said == ""
    late = {stage["stage"]: stage["by"] for stage in after["stages"] if stage["to_do"]}
    follow = ("export_masks", "draw_thumbnails", "gather_masks", "evaluate_masks", "report", "publish")
    assert set(late) == {"propagate", *follow}
    assert late.pop("publish") == ["general figures"]
    assert set(map(tuple, late.values())) == {("earlier jobs",)}
