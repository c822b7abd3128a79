"""The wheel holds the workflow, and is all that a new user needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from irnet_pipe.bundled_files import BUNDLED

ROOT = Path(__file__).parents[2]
SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "Snakefile",
    "environment.yml",
    "src",
    "workflow",
    "profiles",
)


def workflow_files(folder: Path) -> dict[str, bytes]:
    """Every file of the workflow below a folder → its content."""
    files = [folder / "Snakefile", folder / "environment.yml"]
    files += [
        path for name in ("workflow", "profiles") for path in (folder / name).rglob("*") if path.is_file()
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_links_of_a_clone_lead_to_the_whole_workflow():
    assert len(workflow_files(ROOT)) > 10
    assert workflow_files(BUNDLED) == workflow_files(ROOT)
    assert all((BUNDLED / name).resolve() == ROOT / name for name in ("Snakefile", "workflow", "profiles"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of a package that was installed from the wheel, whose clone is gone."""
    folder = tmp_path_factory.mktemp("wheel")
    clone, place = folder / "clone", folder / "installed"
    clone.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, clone / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, clone / name)
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run("pip", "wheel", *options, "--no-build-isolation", ".", "--wheel-dir", str(folder), cwd=clone)
    shutil.rmtree(clone)
    (wheel,) = folder.glob("*.whl")
    run("pip", "install", *options, "--target", str(place), str(wheel), cwd=folder)
    return place


@pytest.mark.slow
def test_the_wheel_holds_the_workflow(installed):
    assert workflow_files(installed / "irnet_pipe" / "bundled") == workflow_files(ROOT)
    assert not any(item.is_symlink() for item in installed.rglob("*"))


@pytest.mark.slow
def test_from_an_empty_directory(installed, tmp_path, photo_set, trained):
    """init, a dry run by snakemake, and a run to the end; networks are given, so that nothing is trained."""
    shutil.copytree(photo_set, tmp_path / "my photos")
    place, folder = {"PYTHONPATH": str(installed)}, tmp_path / "my photos-irnet"
    init = ("irnet_pipe", "init", "my photos", "--labels", "my photos/labels.csv")
    run(*init, cwd=tmp_path, **place)
    done = run("snakemake", "--cores", "all", "--dry-run", cwd=folder, **place)
    text = done.stdout + done.stderr
    assert "train_cam" in text
    assert "publish to outputs/my-photos" in text
    assert not [name for name in ("src", "workflow", "profiles") if str(ROOT / name) in text]
    refused = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "all", "--dry-run", "--sdm", "conda"],
        cwd=folder,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert "error: --sdm conda: environments of rules hold no irnet_pipe; run from a clone" in refused.stderr
    values = {
        "shards.n": 1,
        "cam.backbone": "resnet18",
        "cam.trained": trained.cam,
        "irnet.backbone": "resnet18",
        "irnet.trained": trained.irnet,
        "irnet.radius": 4,
        "runtime.device": "cpu",
    }
    settings = (word for key, value in values.items() for word in ("--set", f"{key}={value}"))
    run(*init, "--force", *settings, cwd=tmp_path, **place)
    run("irnet_pipe", "run", "--quiet", "rules", cwd=folder, **place)
    masks = json.loads((folder / "outputs" / "my-photos" / "masks.json").read_text())
    assert len(masks["images"]) == len(list((photo_set / "images").rglob("*.png")))
    assert (folder / "outputs" / "my-photos" / "report.html").is_file()
