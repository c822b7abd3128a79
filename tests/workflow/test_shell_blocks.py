"""Shell blocks of README and tutorials: each is run, or says why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest
import torch
import torchvision
import yaml

from irnet_pipe.config.presets import merge

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/tutorial.md", "docs/voc12.md", "docs/cluster.md")
BLOCK = re.compile(r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n+)?^ *```sh\n(?P<text>.*?)^ *```$", re.M | re.S)
REASONS = ("make itself", "big download", "cluster", "GPU")


@dataclass(frozen=True)
class Block:
    """A shell block: its text, and why it is not run."""

    text: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [Block(match["text"], match["reason"]) for match in BLOCK.finditer(text)]
    assert len(found) == len(re.findall(r"^ *```sh$", text, re.M)), page
    return found


@pytest.mark.parametrize("page", PAGES)
def test_reasons_are_those_that_may_be(page):
    for block in blocks(page):
        assert block.reason is None or block.reason.startswith(REASONS), block


def test_most_is_run():
    assert sum(block.reason is None for block in blocks("README.md")) >= 2
    assert all(block.reason is None for block in blocks("docs/tutorial.md"))


@pytest.fixture
def run_blocks(tmp_path):
    """Runs the blocks of a page in a folder that looks like a clone; a schedule of minutes becomes one of seconds."""
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    short = "--set cam.train.epochs=1 --set irnet.train.epochs=1"
    for name, module, more in (("irnet-pipe", "irnet_pipe", short), ("snakemake", "snakemake", "")):
        script = f'#!/bin/sh\nmore=\n[ "$1" = init ] && more="{more}"\nexec {sys.executable} -m {module} "$@" $more\n'
        (bin_folder / name).write_text(script)
        (bin_folder / name).chmod(0o755)
    for name in ("Snakefile", "workflow", "profiles", "src", "environment.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "TORCH_HOME": str(without_download(tmp_path / "torch")),
        "OMP_WAIT_POLICY": "passive",
        "PYTHONWARNINGS": "default",
    }

    def run(page: str, *, together: bool) -> str:
        texts = [block.text for block in blocks(page) if block.reason is None]
        said = ""
        for text in ["".join(texts)] if together else texts:
            command = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            said += done.stdout
        return said

    return run


def without_download(folder: Path) -> Path:
    """A TORCH_HOME in which a network that has learnt nothing stands in for ImageNet's ResNet-18."""
    weights = folder / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    name = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), weights / name)
    return folder


@pytest.mark.slow
def test_tutorial(run_blocks, tmp_path):
    said = run_blocks("docs/tutorial.md", together=True)
    assert " cores: about " in said
    outputs = tmp_path / "scenes-irnet" / "outputs" / "scenes"
    assert {"report.html", "masks.json"} <= {path.name for path in outputs.iterdir()}
    assert (tmp_path / "scenes-yolo" / "data.yaml").exists()


@pytest.mark.slow
def test_readme(run_blocks, tmp_path, photo_set, tiny):
    """The photos, tables and config that it speaks of, under its names; the config with a small network beside it."""
    shutil.copytree(photo_set / "images", tmp_path / "birds")
    rows = [row.rpartition(",") for row in (photo_set / "labels.csv").read_text("utf-8").splitlines()]
    book = openpyxl.Workbook()
    for name, _, labels in rows:
        book.active.append([name.strip('"'), labels])
    book.save(tmp_path / "labels.xlsx")
    shutil.copy(photo_set / "labels.csv", tmp_path / "birds")
    config = yaml.safe_load(
        re.search(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)[1]
    )
    small = {name: tiny[name] for name in ("shards", "cam", "irnet")} | {"runtime": {"device": "cpu"}}
    (tmp_path / "birds.yaml").write_text(yaml.safe_dump(merge(config, small)), encoding="utf-8")
    run_blocks("README.md", together=False)
    for folder in (tmp_path / "birds-irnet", tmp_path):
        assert (folder / "outputs" / "birds" / "masks.json").exists(), folder
