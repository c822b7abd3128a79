"""Exports, opened by the tools that they are for, each in an environment of its own.

Tools are installed from the package index; where it cannot be reached, tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from published_run import CLASSES
from scipy import ndimage

SCRIPTS = Path(__file__).parent / "readers"


@dataclass(frozen=True)
class Reader:
    """A tool: what it reads, what is installed for it, and what it keeps.

    Attributes:
        form: format of the export.
        packages: as pip takes them.
        beside: install these alone, beside the packages of the tests, since they need torch.
        scores: whether the format has them.
        joins: whether parts of an instance are joined by bridges.
    """

    form: str
    packages: tuple[str, ...]
    beside: bool = False
    scores: bool = True
    joins: bool = False


READERS = {
    "supervision": Reader(
        "yolo", ("supervision==0.31.2", "opencv-python-headless"), scores=False, joins=True
    ),
    "ultralytics": Reader(
        "yolo",
        (
            *(
                "ultralytics==8.4.190",
                "ultralytics-thop",
                "opencv-python-headless",
                "polars",
                "polars-runtime-32",
            ),
            *("matplotlib", "contourpy", "cycler", "kiwisolver", "pyparsing", "python-dateutil", "six"),
        ),
        beside=True,
        scores=False,
        joins=True,
    ),
    "datumaro": Reader("cvat", ("datumaro==1.13.12",)),
    "labelme": Reader("labelme", ("labelme==6.3.1",)),
    "label_studio": Reader("label-studio", ("label-studio-sdk==2.1.2",)),
}


def install(reader: Reader, folder: Path) -> tuple[Path, dict[str, str]]:
    """Make the environment of a reader; returns its interpreter and environment variables."""
    if reader.beside:
        python, options = Path(sys.executable), ["--no-deps", "--target", str(folder)]
    else:
        venv.create(folder, with_pip=True)
        python, options = folder / "bin" / "python", []
    pip = [str(python), "-m", "pip", "--quiet"]
    probe = [*pip, "download", "--no-deps", "--dest", str(folder / "probe"), "six"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no package index can be reached, from which readers are installed")
    command = [*pip, "install", *options, *reader.packages]
    installed = subprocess.run(command, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr
    paths = [str(SCRIPTS), *([str(folder)] if reader.beside else [])]
    return python, {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "YOLO_CONFIG_DIR": str(folder)}


@pytest.fixture
def environment(tmp_path):
    yield tmp_path / "environment"
    shutil.rmtree(tmp_path / "environment", ignore_errors=True)  # half a gigabyte, which pytest would keep


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_reader_finds_the_same_masks(made_up, environment, tmp_path, name):
    reader = READERS[name]
    python, variables = install(reader, environment)
    options = ("--photos", "copy", "--root", made_up.root)
    folder, out = made_up.export(reader.form, tmp_path / "export", *options), tmp_path / "found.npz"
    command = [str(python), str(SCRIPTS / f"read_{name}.py"), str(folder), str(out)]
    run = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert run.returncode == 0, run.stderr

    with np.load(out, allow_pickle=False) as found:
        facts = json.loads(str(found["facts"]))
        masks = [found[str(number)] for number in range(len(facts["instances"]))]
    assert facts["classes"] == CLASSES
    expected = {name: of_photo for name, of_photo in made_up.masks.items() if of_photo}
    of_image: dict[str, list] = {name: [] for name in expected}
    for (image, class_name, score), mask in zip(facts["instances"], masks, strict=True):
        of_image[f"{image.removesuffix('.jpg')}.jpg"].append((class_name, score, mask))
    for image, of_photo in expected.items():
        for (class_name, score, found_mask), (mask, class_id, told) in zip(
            of_image[image], of_photo, strict=True
        ):
            assert class_name == CLASSES[class_id]
            assert score == (told if reader.scores else None)
            if reader.joins and ndimage.label(mask)[1] > 1:
                assert found_mask[mask].all()  # bridges between parts
            else:
                np.testing.assert_array_equal(found_mask, mask)
