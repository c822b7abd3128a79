"""The benchmark of scale runs, at a size that says nothing about time."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
JOBS_OF_A_LABEL_SHARD = 9
"""infer_cam, infer_irnet, refine_displacement, propagate, export_masks, draw_thumbnails;
gather_masks, report, publish."""


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("scale")


def test_the_table_is_printed(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "scale.py"), "--folder", str(tmp_path / "new")]
    command += ["--sizes", "60", "--shards", "2", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, _, *rows = done.stdout.splitlines()
    assert head == "| images | 60 | exponents |"
    costs = [row.split("|")[2].strip() for row in rows]
    assert len(costs) == 8
    assert all(re.match(r"\d+\.\d \(\d+\.\d\) s, \d+ MiB", cost) for cost in costs)
    assert costs[-1].endswith(f" {JOBS_OF_A_LABEL_SHARD} jobs")
    assert not (tmp_path / "new").exists()


def test_exponents_of_growth(scale):
    costs = {
        images: scale.Cost(seconds=1, cpu_seconds=seconds, memory=0)
        for images, seconds in ((10, 2.0), (100, 20.0), (1000, 2000.0), (8000, 4000.0))
    }
    assert scale.exponents(costs) == "1.00, 2.00, 0.33"
