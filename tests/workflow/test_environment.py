"""environment.yml, Containerfile and profiles of clusters against pyproject.toml, the stages and each other.

Neither the environment nor the container is built here.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from irnet_pipe.config import parse_config
from irnet_pipe.stage_table import SEGMENTERS, STAGES, TRAINERS
from irnet_pipe.workflow import prepare

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "snakemake": "snakemake-minimal"}
CLUSTERS = ("slurm", "lsf")


def project_table() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


def instructions(name: str) -> list[str]:
    """Arguments of each instruction of the Containerfile that has this name."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    return re.findall(rf"^{name} (.*)$", text, flags=re.MULTILINE)


def test_environment_has_the_dependencies_of_pyproject():
    project = project_table()
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert set(environment) == {"channels", "dependencies"}
    listed = {re.sub(r"\s", "", line) for line in environment["dependencies"]}
    expected = {f"python{project['requires-python']}"}
    for dependency in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", dependency).groups()
        expected.add(CONDA_NAMES.get(name, name) + bound)
    assert listed == expected


def test_every_rule_names_the_environment():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        rules = re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for rule in rules:
            (name,) = re.findall(r'^    conda:\n        "(.*)"$', rule, flags=re.MULTILINE)
            assert (path.parent / name).resolve() == ROOT / "environment.yml"


def test_trainings_book_the_cores_that_they_compute_on():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        for stage, threads in re.findall(r"^rule (\w+):.*?^    threads: (.*?)$", text, flags=re.M | re.S):
            assert threads == ("training_threads" if stage in TRAINERS else "1"), stage


def test_container_is_made_from_pyproject_alone():
    (base,) = instructions("FROM")
    version = tuple(map(int, re.fullmatch(r"\S+/python:(\d+)\.(\d+)-slim", base).groups()))
    lowest, above = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project_table()["requires-python"]).groups()
    assert (3, int(lowest)) <= version < (3, int(above))
    assert instructions("RUN") == ["pip install --no-cache-dir /opt/irnet_pipe"]


def test_container_gets_all_that_runs_need():
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    needed = {"pyproject.toml", project_table()["readme"], *project_table()["license-files"], "src"}
    assert needed | {"Snakefile", "workflow", "environment.yml", "profiles", "config"} == copied


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_groups_shards_and_nothing_else(cluster, tiny):
    """A group in which one stage reads another's artifacts could not be tried again in part."""
    everything = {"segmenters": list(SEGMENTERS), "export": {"variants": ["affinitynet", "full"]}}
    plan = prepare(parse_config(tiny | everything)).plan
    assert {artifact.stage for artifact in plan.artifacts} >= set(STAGES) - {
        "select_thresholds",
        "select_relation_thresholds",
    }
    sharded = {artifact.stage for artifact in plan.artifacts if artifact.unit != "all"}
    values = profile(cluster)
    assert values["groups"] == {stage: stage for stage in sharded}
    assert set(values["group-components"]) == sharded


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_tells_trainers_before_their_time_limit(cluster):
    values = profile(cluster)
    assert values["executor"] == cluster
    assert set(values["set-resources"]) | set(values["set-threads"]) <= set(STAGES)
    for trainer in ("train_cam", "train_irnet", "train_affinitynet", "train_maskrcnn", "train_deeplab"):
        assert "TERM" in " ".join(values["set-resources"][trainer].values())
    assert values["retries"] > 0
