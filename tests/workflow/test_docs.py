"""README, docs and profiles against the code: every path, command, key and test that they name exists."""

import argparse
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from irnet_pipe.cli.main import build_parser
from irnet_pipe.config import Config, load_config, parse_config, settings_of
from irnet_pipe.config.keys import leaves
from irnet_pipe.stage_table import STAGES

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TOP = {
    "Containerfile",
    "Makefile",
    "Snakefile",
    "pyproject.toml",
    "environment.yml",
    ".ci",
    "benchmarks",
    "config",
    "docs",
    "profiles",
    "src",
    "tests",
    "workflow",
}
KEYS = {path for path, _ in leaves()}
SECTIONS = {name for name in Config.model_fields if any(key.startswith(f"{name}.") for key in KEYS)}
FILE_SUFFIXES = ("md", "py", "json", "yaml", "html", "csv", "txt", "toml", "yml", "npz", "tsv", "pth", "tex")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)


def code_spans(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(page: Path) -> list[str]:
    """Command lines of shell blocks and code spans, without comments."""
    lines = [line for block in fences(page, "sh") for line in block.splitlines()]
    return [line.split("#")[0].replace(".venv/bin/", "").strip() for line in [*lines, *code_spans(page)]]


def verbs() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pages
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        if not target.startswith("http"):
            assert (page.parent / target.split("#")[0]).exists(), target


@pages
def test_paths_exist(page):
    for span in code_spans(page):
        path, _, test = span.partition("::")
        if path.split("/")[0] not in TOP or " " in path:
            continue
        found = list(ROOT.glob(path.rstrip("/")))
        assert found, span
        if test:
            assert f"def {test}(" in text_of(found[0]), span


@pages
def test_config_keys_exist(page):
    for span in code_spans(page):
        key = span.split(":")[0].strip()
        known = re.fullmatch(r"([a-z_]+)(\.[a-z_]+)+", key)
        if not known or known[1] not in SECTIONS or key.rsplit(".", 1)[1] in FILE_SUFFIXES:
            continue
        assert key in KEYS or any(leaf.startswith(f"{key}.") for leaf in KEYS), span


@pages
def test_yaml_blocks_are_configs(page):
    for block in fences(page, "yaml"):
        parse_config(yaml.safe_load(block), source=page.name)


@pages
def test_commands_exist(page):
    known, targets = verbs(), set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    for command in commands(page):
        program, *words = command.split() or [""]
        if program == "irnet-pipe" and words:
            assert words[0] in known, command
            options = {option for action in known[words[0]]._actions for option in action.option_strings}
            # the options of run are those of snakemake
            assert words[0] == "run" or {word for word in words if word.startswith("--")} <= options, command
        elif program == "make" and words:
            assert words[0] in targets, command


def test_the_config_for_own_photos_is_short():
    blocks = fences(ROOT / "README.md", "yaml")
    whole = [block for block in blocks if "dataset:" in block]
    assert len(whole) >= 2
    for block in blocks:
        settings_of(parse_config(yaml.safe_load(block)))
    for block in whole:
        assert len(block.splitlines()) <= 10
        assert parse_config(yaml.safe_load(block)).dataset.root


def test_readme_begins_with_picture_and_two_commands():
    screen = text_of(ROOT / "README.md").split("\n## ")[0]
    assert "](docs/images/demo.png)" in screen
    assert [line.split("#")[0].strip() for line in fences(ROOT / "README.md", "sh")[0].splitlines()] == [
        "make demo",
        "make test",
    ]
    assert len(screen.splitlines()) <= 30


def test_shipped_configs_are_valid():
    for path in (ROOT / "config").glob("*.yaml"):
        load_config(path)


def test_voc12_needs_three_lines_and_has_the_steps_of_its_presets():
    config = load_config(ROOT / "config" / "voc12.yaml")
    assert config.dataset.model_fields_set - {"working_long_side", "negatives"} == {
        "root",
        "train",
        "evaluate",
    }
    image_ids = [
        line for line in text_of(ROOT / config.dataset.train).splitlines() if not line.startswith("#")
    ]
    assert len(image_ids) == len(set(image_ids)) == 10_582
    for preset, steps in (("paper_default", 990), ("paper_log", 3305)):
        train = parse_config({"preset": preset}).irnet.train
        assert len(image_ids) // train.batch * train.epochs == steps


def test_the_changelog_lists_the_version_of_each_stage():
    rows = re.findall(r"^\| (\w+) \| (\d+) \|", text_of(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)
    newest = dict(reversed(rows))  # the newest release comes first
    assert newest == {name: str(stage.version) for name, stage in STAGES.items()}


def test_every_stage_is_described():
    for name in STAGES:
        assert f"`{name}`" in text_of(ROOT / "docs" / "architecture.md"), name


def test_every_defect_of_the_reference_has_a_test_or_a_reason():
    rows = re.findall(r"^\| (D\d+) \|(.*)\|$", text_of(ROOT / "docs" / "method.md"), flags=re.MULTILINE)
    assert [name for name, _ in rows] == [f"D{number}" for number in range(1, 20)]
    for name, row in rows:
        assert "::test_" in row or "cannot occur" in row, name


def test_profiles_hold_options_of_snakemake_and_complete_each_other():
    files = sorted((ROOT / "profiles").glob("*/*.yaml"))
    profiles = {path.parent.name: set(yaml.safe_load(text_of(path))) for path in files}
    options = set(
        re.findall(r"--([a-z-]+)", import_module("snakemake.cli").get_argument_parser().format_help())
    )
    # options of an executor are known once its plugin is installed
    for name, keys in profiles.items():
        assert keys <= options, name
    # profiles are merged by top-level keys: of a key in both, one would be lost
    for name in profiles.keys() - {"default"}:
        assert not profiles[name] & profiles["default"], name
