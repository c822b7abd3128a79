"""The segmenters of a published run, and settings in place of the run's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployment_run import CLASSES, RECIPE

from irnet_pipe.deployment.trained import find_segmenters
from irnet_pipe.errors import InputError


@pytest.fixture
def run(published_run, tmp_path) -> Path:
    """A run that may be changed; the weights are left out, as nothing reads them here."""
    folder = shutil.copytree(published_run, tmp_path / "run", ignore=shutil.ignore_patterns("*.pth"))
    for kind in ("maskrcnn", "deeplab"):
        (folder / f"{kind}.pth").write_bytes(b"")
    return folder


def rewrite(path: Path, **changes: object) -> None:
    facts = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in facts.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def test_settings_are_those_of_the_run(run):
    instances, classes = find_segmenters(run)
    assert (instances.kind, classes.kind) == ("maskrcnn", "deeplab")
    assert (instances.classes, instances.recipe, instances.learnt_from) == (CLASSES, RECIPE, "full")
    assert instances.settings["maskrcnn.infer"]["short_side"] == 48
    assert classes.settings["deeplab.infer"]["scales"] == [1, 0.5]
    assert classes.settings["dataset.working_long_side"] == 64
    assert instances.max_pixels == 64_000_000


def test_one_of_several(run):
    assert [found.kind for found in find_segmenters(run, only="deeplab")] == ["deeplab"]
    assert [found.kind for found in find_segmenters(run / "maskrcnn.pth")] == ["maskrcnn"]


def test_weights_may_be_renamed(run):
    for suffix in (".pth", ".json"):
        (run / f"maskrcnn{suffix}").rename(run / f"birds{suffix}")
    assert find_segmenters(run / "birds.pth")[0].kind == "maskrcnn"


def test_overrides_take_the_place_of_single_settings(run):
    given = ["maskrcnn.infer.short_side=64", "deeplab.infer.crf.iterations=3", "dataset.max_pixels=500000"]
    given += ["dataset.working_long_side=none", "deeplab.infer.scales=[0.5, 1]"]
    instances, classes = find_segmenters(run, overrides=given)
    assert (
        instances.settings["maskrcnn.infer"] | {"short_side": 48}
        == (find_segmenters(run)[0].settings["maskrcnn.infer"])
    )
    assert instances.settings["maskrcnn.infer"]["short_side"] == 64
    assert classes.settings["deeplab.infer"]["crf"]["iterations"] == 3
    assert classes.settings["deeplab.infer"]["scales"] == [0.5, 1]
    assert classes.settings["dataset.working_long_side"] is None
    assert instances.max_pixels == classes.max_pixels == 500_000


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("maskrcnn.infer.nms=7", "--set: maskrcnn.infer.nms is 7"),
        ("maskrcnn.infer.nsm=.5", "--set: maskrcnn.infer.nsm: unknown key; did you mean maskrcnn.infer.nms"),
        ("maskrcnn.infer.nms", "no KEY=VALUE"),
        ("maskrcnn.infer.nms=[", "no KEY=VALUE"),
        ("maskrcnn.train.lr=1", "--set maskrcnn.train.lr: nothing that maskrcnn and deeplab would read"),
        ("seed=1", "--set seed: nothing that"),
    ],
)
def test_wrong_overrides(run, override, told):
    with pytest.raises(InputError) as caught:
        find_segmenters(run, overrides=[override])
    assert told in str(caught.value)


def test_override_of_the_other_segmenter(run):
    with pytest.raises(InputError, match=r"--set maskrcnn\.infer\.nms: nothing that deeplab would read"):
        find_segmenters(run, only="deeplab", overrides=["maskrcnn.infer.nms=.4"])


def test_folders_that_are_no_run(run, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such file; give a published run"):
        find_segmenters(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no published run .*give one of its runs, such as .*run$"):
        find_segmenters(tmp_path)
    next(run.glob("recipe-*.json")).unlink()
    with pytest.raises(InputError, match=r"no published run .*run snakemake"):
        find_segmenters(run)


def test_runs_without_the_segmenter(run):
    (run / "deeplab.pth").unlink()
    with pytest.raises(InputError, match=r"the run has maskrcnn alone; .*add deeplab to segmenters"):
        find_segmenters(run, only="deeplab")
    with pytest.raises(InputError, match=r"weights of maskrcnn, not of deeplab"):
        find_segmenters(run / "maskrcnn.pth", only="deeplab")
    (run / "maskrcnn.pth").unlink()
    with pytest.raises(InputError, match="a run without segmenters"):
        find_segmenters(run)


def test_json_that_is_missing_or_says_too_little(run):
    place = run / "maskrcnn.json"
    rewrite(place, kind="yolo")
    with pytest.raises(InputError, match=r"maskrcnn\.json: kind 'yolo' is none of maskrcnn, deeplab"):
        find_segmenters(run)
    rewrite(place, kind="maskrcnn", inference={"maskrcnn.infer": {"nms": 7}})
    with pytest.raises(InputError, match=r"maskrcnn\.json: inference: maskrcnn\.infer\.nms is 7"):
        find_segmenters(run)
    rewrite(place, inference=None)
    with pytest.raises(InputError, match=r"maskrcnn\.json: lacks 'inference'; run snakemake"):
        find_segmenters(run)
    place.write_text("[", encoding="utf-8")
    with pytest.raises(InputError, match=r"maskrcnn\.json: cannot be read"):
        find_segmenters(run)
    place.unlink()
    with pytest.raises(InputError, match=r"maskrcnn\.json: no such file, which names the classes"):
        find_segmenters(run)


def test_the_run_is_judged_before_torch_is_loaded(run):
    code = "\n".join(
        [
            "import pathlib, sys",
            "from irnet_pipe.deployment.trained import find_segmenters",
            f"find_segmenters(pathlib.Path({str(run)!r}))",
            "print('torch' in sys.modules)",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
