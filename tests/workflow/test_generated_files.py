"""Files that are generated from the code."""

import re
from pathlib import Path

import pytest
import yaml

from irnet_pipe.cli.reference import reference
from irnet_pipe.config import parse_config
from irnet_pipe.config.documents import GENERATED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", GENERATED)
def test_generated_file_is_in_step(name):
    assert (ROOT / "config" / name).read_text(encoding="utf-8") == GENERATED[name](), "run `make generated`"


def test_page_of_the_command_line_is_in_step():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), "run `make generated`"


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
