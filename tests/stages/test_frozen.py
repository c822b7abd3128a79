"""Each stage's output on the made-up run is frozen with its version: other output wants another version.

Inputs are the same on every machine (made_up.py), so what differs between machines is a stage's own rounding. Floats
may differ by 1e-6 of their largest value, integers not at all. A value that is rounded for storage (half precision,
pictures) turns a difference in the last bit of a float into one of its own steps, but seldom; so one step is allowed
for each value, and 1e-6 for the mean over all, which estimates the difference before rounding.
"""

from __future__ import annotations

import re

import freeze
import numpy as np
import pytest
from freeze import FOLDER, Content, Frozen, bumped, outputs, read_frozen, write_frozen
from made_up import MadeUpRun

from irnet_pipe.stage_table import STAGES

NETWORKS = (
    *(f"{kind}_{name}" for kind in ("train", "infer") for name in ("cam", "irnet", "maskrcnn", "deeplab")),
    "train_affinitynet",
    "propagate_affinitynet",
)
"""Stages whose rounding is that of sums over thousands of products, in an order that each CPU and torch choose.

Between AVX2 and SSE kernels weights differ by up to 2e-6 of the largest after four steps.
"""
ROUNDED = ("float16", "uint8")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


def tolerance(stage: str) -> float:
    return 1e-5 if stage in NETWORKS else 1e-6


def step(a: np.ndarray, b: np.ndarray) -> np.ndarray | int:
    """Distance between neighbouring values of a type that floats are rounded to."""
    return np.spacing(np.maximum(np.abs(a), np.abs(b))) if a.dtype.kind == "f" else 1


def difference(frozen: Content, found: Content, *, tolerance: float) -> str | None:
    """The first thing in which two outputs differ; None where they agree."""
    if frozen.keys() != found.keys():
        return f"it holds {sorted(frozen.keys() ^ found.keys())[0]!r} in one of them alone"
    rounded, values = 0.0, 0
    for name, expected in frozen.items():
        value = found[name]
        if isinstance(expected, str) or isinstance(value, str):
            if not (isinstance(expected, str) and expected == value):
                return f"{name} is other text"
            continue
        if (expected.dtype, expected.shape) != (value.dtype, value.shape):
            return f"{name} is {value.dtype} {value.shape}, was {expected.dtype} {expected.shape}"
        if not expected.size:
            continue
        apart = np.abs(expected.astype(np.float64) - value.astype(np.float64))
        peak = np.abs(expected.astype(np.float64)).max()
        bound = tolerance * peak if expected.dtype.kind == "f" else 0
        if expected.dtype.name in ROUNDED:
            bound = bound + step(expected, value)
            rounded, values = rounded + apart.sum() / max(peak, 1e-30), values + expected.size
        if not (apart <= bound).all():
            return f"{name} differs by {apart.max():.3g}, its largest value is {peak:.3g}"
    if rounded > tolerance * max(values, 1):
        return f"its rounded values differ by {rounded / values:.3g} of the largest in the mean"
    return None


def test_every_stage_is_frozen_at_its_version():
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(STAGES)
    versions = {stage: read_frozen(stage).version for stage in STAGES}
    assert versions == {name: stage.version for name, stage in STAGES.items()}, "run `make frozen`"


@pytest.mark.parametrize("stage", STAGES)
def test_output_at_the_frozen_version(stage, run, tmp_path):
    frozen = read_frozen(stage)
    found = outputs(run, stage, folder=tmp_path, settings=frozen.settings)
    changed = difference(frozen.content, found, tolerance=tolerance(stage))
    assert changed is None, (
        f"bump {stage}: its output on the frozen input has changed at version {frozen.version}: {changed}; "
        "see CONTRIBUTING.md, Bumping a stage"
    )


SAMPLE: Content = {
    "float": np.linspace(-1, 3, 50, dtype=np.float32),
    "half": np.linspace(0, 1, 400, dtype=np.float16),
    "label": np.arange(9),
    "text": "as it is",
}


@pytest.mark.parametrize(
    ("name", "other", "told"),
    [
        ("float", SAMPLE["float"] * np.float32(1 + 2e-5), "float differs by"),
        ("half", SAMPLE["half"] + np.float16(2e-3), "half differs by"),
        ("half", np.nextafter(SAMPLE["half"], np.float16(2)), "rounded values differ by"),
        ("label", np.arange(9) + (np.arange(9) == 4), "label differs by 1"),
        ("label", np.arange(9, dtype=np.int32), "int32"),
        ("label", np.arange(8), r"\(8,\), was int64 \(9,\)"),
        ("text", "as it was", "other text"),
        ("more", np.zeros(1), "'more' in one of them alone"),
    ],
)
def test_what_counts_as_a_difference(name, other, told):
    assert re.search(told, difference(SAMPLE, SAMPLE | {name: other}, tolerance=1e-5))


def test_rounding_is_no_difference():
    half = SAMPLE["half"].copy()
    half[7] = np.nextafter(half[7], np.float16(2))
    other = SAMPLE | {"half": half, "float": SAMPLE["float"] * np.float32(1 + 5e-7)}
    assert difference(SAMPLE, other, tolerance=1e-6) is None


def test_what_was_frozen_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(freeze, "FOLDER", tmp_path)
    frozen = Frozen(
        3, {"random_walk": {"beta": 10}}, SAMPLE | {"nothing": np.zeros((2, 0), dtype=np.float16)}
    )
    write_frozen("propagate", frozen)
    read = read_frozen("propagate")
    assert (read.version, read.settings) == (3, frozen.settings)
    assert difference(frozen.content, read.content, tolerance=0) is None
    assert "propagate" in bumped()


def test_frozen_files_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 300_000
