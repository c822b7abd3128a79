"""Files that are generated from the typed config, or kept in step with pyproject.toml by hand."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from irnet_pipe.config import parse_config
from irnet_pipe.config.documents import GENERATED

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "snakemake": "snakemake-minimal"}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_file_is_in_step(name):
    assert (ROOT / "config" / name).read_text(encoding="utf-8") == GENERATED[name](), "run `make generated`"


def test_default_yaml_sets_nothing_and_names_the_models_defaults():
    text = (ROOT / "config" / "config.yaml").read_text(encoding="utf-8")
    assert parse_config(yaml.safe_load(text)) == parse_config({})
    assert parse_config(yaml.safe_load(text) | {"preset": "paper_log"}) == parse_config(
        {"preset": "paper_log"}
    )
    uncommented = re.sub(r"(?m)^( *)#(?! )", r"\1", text)
    values = yaml.safe_load(uncommented)
    assert values["random_walk"]["beta"] == 10
    assert parse_config(values) == parse_config({})


def test_environment_has_the_dependencies_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    listed = {re.sub(r"\s", "", line) for line in environment["dependencies"]}
    expected = {f"python{project['requires-python']}"}
    for dependency in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", dependency).groups()
        expected.add(CONDA_NAMES.get(name, name) + bound)
    assert listed == expected
