"""The wheel holds the workflow, and is all that a new user needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
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
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in ("Snakefile", "environment.yml", "workflow/rules/*.smk", "profiles/*/*.yaml")
        for path in folder.glob(pattern)
    }


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
    assert workflow_files(BUNDLED) == workflow_files(ROOT)
    assert all((BUNDLED / name).resolve() == ROOT / name for name in ("Snakefile", "workflow", "profiles"))


@pytest.mark.slow
def test_wheel_from_an_empty_directory(tmp_path, photo_set):
    clone, installed, empty = (tmp_path / name for name in ("clone", "installed", "empty"))
    clone.mkdir()
    empty.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, clone / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, clone / name)
    pip = ("pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", ".", "-w", str(tmp_path), cwd=clone)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(clone)
    run(*pip, "install", "--no-deps", "--no-index", "--target", str(installed), str(wheel), cwd=tmp_path)
    assert workflow_files(installed / "irnet_pipe" / "bundled") == workflow_files(ROOT)
    assert not any(item.is_symlink() for item in installed.rglob("*"))
    assert len([name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".smk")]) == len(
        list((ROOT / "workflow" / "rules").glob("*.smk"))
    )
    shutil.copytree(photo_set, empty / "my photos")
    place = str(installed)
    run("irnet_pipe", "init", "my photos", "--labels", "my photos/labels.csv", cwd=empty, PYTHONPATH=place)
    done = run("snakemake", "--cores", "all", "--dry-run", cwd=empty / "my photos-irnet", PYTHONPATH=place)
    text = done.stdout + done.stderr
    assert "train_cam" in text
    assert "publish to outputs/my-photos" in text
    assert str(ROOT) not in text
