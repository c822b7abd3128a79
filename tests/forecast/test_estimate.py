"""What `plan` says before a run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from made_up_attempts import attempt

from irnet_pipe.cli.main import main
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.forecast import estimate as estimate_module
from irnet_pipe.forecast import trial
from irnet_pipe.forecast.defaults import FIGURES
from irnet_pipe.forecast.estimate import (
    CALIBRATED,
    EARLIER,
    GENERAL,
    Estimate,
    StageEstimate,
    estimate,
)
from irnet_pipe.forecast.measurement import Measurement
from irnet_pipe.forecast.text import lines, warnings
from irnet_pipe.forecast.trial import PHOTOS, STEPS, small_config, small_index
from irnet_pipe.forecast.workload import speed_key
from irnet_pipe.planner import make_plan
from irnet_pipe.recipes import Record
from irnet_pipe.stage_table import STAGES
from irnet_pipe.workflow import PlannedRun, plan_for, prepare

RECORDED = Measurement(2, rate=100, cpu_start=3, cpu_rate=50, memory=1e9, largest=1, bytes_rate=10)


def planned(values: dict) -> PlannedRun:
    return plan_for(parse_config(values))


def told(run: PlannedRun, **options) -> Estimate:
    return estimate(run, **{"cores": 2, "gpus": 0, "measured": False, "tell": lambda line: None} | options)


def of(found: Estimate, stage: str) -> StageEstimate:
    return next(item for item in found.stages if item.stage == stage)


def finish(run: PlannedRun, *stages: str) -> None:
    """Stand-ins for artifacts, with events of jobs of one second an image."""
    for artifact in run.plan.artifacts:
        if artifact.stage in stages:
            record = artifact.record
            (run.results / artifact.path).parent.mkdir(parents=True, exist_ok=True)
            (run.results / artifact.path).write_bytes(b"x" * 1000)
            count = len([entry for digest in artifact.images for entry in run.image_lists[digest]])
            attempt(run.results, record, (6, 1, 5), (5 + count, count, 4 + count), seconds=7 + count, cpu=9)


@pytest.fixture
def calibrated(monkeypatch) -> list[set[str]]:
    """Speeds that calibrations are asked for; each has the same measurement."""
    asked = []

    def calibrate(run, keys, *, device, tell):
        asked.append(set(keys))
        return dict.fromkeys(keys, RECORDED)

    monkeypatch.setattr(estimate_module, "calibrate", calibrate)
    return asked


def test_before_the_first_run_without_calibration(tiny):
    run = planned(tiny)
    found = told(run)
    assert found.jobs == len(run.plan.artifacts) == 46
    assert {source for stage in found.stages for source in stage.sources} == {GENERAL}
    assert found.wall_seconds < sum(stage.seconds for stage in found.stages) + 100
    assert found.wall_seconds > of(found, "train_cam").seconds + of(found, "train_irnet").seconds
    assert 0 < of(found, "infer_cam").memory <= found.memory
    assert found.disk > sum(stage.disk for stage in found.stages), "checkpoints"
    assert not (run.results / "calibration.json").exists()


def test_figures_are_of_stages():
    assert set(FIGURES) <= set(STAGES)


def test_a_smaller_backbone_and_a_gpu_take_less(tiny):
    def seconds(**options) -> float:
        values = merge(tiny, {"cam": {"backbone": options.pop("backbone", "resnet18")}})
        values["irnet"]["backbone"] = values["cam"]["backbone"]
        return of(told(planned(values), **options), "train_cam").seconds

    assert seconds(gpus=1) < seconds() < seconds(backbone="resnet50") < seconds(backbone="resnet101")


def test_a_network_that_is_given_is_not_trained(tiny, tmp_path):
    weights = tmp_path / "cam.pth"
    weights.write_bytes(b"any")
    given = told(planned(merge(tiny, {"cam": {"trained": str(weights)}})))
    assert of(given, "train_cam").to_do == 1
    assert of(given, "train_cam").seconds < of(told(planned(tiny)), "train_cam").seconds


def test_the_memory_of_a_training_goes_with_its_step(tiny):
    def memory(**changes) -> float:
        return of(told(planned(merge(tiny, {"irnet": {"train": changes}}))), "train_irnet").memory

    whole, loaded = memory(crop=384, batch=2), memory(crop=32, batch=1)
    assert 600 << 20 < loaded < 610 << 20
    assert memory(crop=192, batch=2) - (600 << 20) == pytest.approx((whole - (600 << 20)) / 4)
    assert memory(crop=384, batch=1) - (600 << 20) == pytest.approx((whole - (600 << 20)) / 2)


def test_what_is_there_is_not_to_do(tiny):
    run = prepare(parse_config(tiny))
    finish(run, "train_cam", "infer_cam")
    found = told(run)
    cam = of(found, "infer_cam")
    assert (cam.to_do, cam.there, cam.total) == (0, 4, 4)
    assert of(found, "infer_cam").seconds == 0
    assert of(found, "propagate").to_do == 4


def test_earlier_jobs_count_before_calibration_and_figures(tiny, calibrated):
    finish(prepare(parse_config(tiny)), "export_masks", "propagate")
    run = planned(merge(tiny, {"random_walk": {"beta": 4}}))
    found = told(run, measured=True)
    assert of(found, "propagate").sources == (EARLIER,)
    images = 8
    assert of(found, "propagate").seconds == pytest.approx(4 * 7 + images, rel=0.6), (
        "8 photos, not all of one size"
    )
    assert of(found, "train_cam").sources == (CALIBRATED,)
    assert of(found, "publish").sources == (GENERAL,)
    assert not any('"propagate"' in key for key in calibrated[0])


def test_calibrations_are_asked_for_once(tiny, calibrated, tmp_path):
    run = planned(tiny)
    found = told(run, measured=True)
    keys = {
        speed_key(a.record, {b.recipe: b.record for b in run.plan.artifacts}.get) for a in run.plan.artifacts
    }
    assert calibrated == [{key for key in keys if json.loads(key)[0] not in ("report", "publish")}]
    cam = of(found, "train_cam")
    assert cam.seconds == pytest.approx(2 + 100 * 4 * 64**2 / 1e6, abs=0.06), "two steps of a batch of two"
    assert cam.cpu_seconds == pytest.approx(3 + 50 * 4 * 64**2 / 1e6, abs=0.06)
    again = told(planned(merge(tiny, {"cam": {"train": {"lr": 0.5}}})), measured=True)
    assert len(calibrated) == 1
    assert of(again, "train_cam") == cam
    assert of(told(run), "train_cam") == cam, "without calibration, what was measured before still counts"
    told(planned(merge(tiny, {"cam": {"train": {"batch": 1}}})), measured=True)
    assert [json.loads(key)[0] for key in calibrated[1]] == ["train_cam"]


def test_nothing_to_do(tiny, calibrated):
    run = prepare(parse_config(tiny))
    outputs = Path(run.config.runtime.outputs, "tiny")
    outputs.mkdir(parents=True)
    for name in ("masks.json", f"recipe-{run.plan.targets[0].recipe}.json"):
        (outputs / name).touch()
    found = told(run, measured=True)
    assert (found.jobs, found.wall_seconds, calibrated) == (0, 0, [])
    assert list(lines(found)) == ["nothing to do: the run is published"]


def stage_estimate(**changes) -> StageEstimate:
    values = {
        "total": 1,
        "there": 0,
        "to_do": 1,
        "seconds": 90.0,
        "cpu_seconds": 100.0,
        "memory": 2e9,
        "disk": 3e9,
    }
    return StageEstimate(**{"stage": "infer_cam", "sources": (GENERAL,)} | values | changes)


def made_up(*stages: StageEstimate, **changes) -> Estimate:
    values = {"wall_seconds": 95.0, "memory": 4e9, "memory_there": 8e9, "disk": 3e9, "disk_there": 9e9}
    values |= {"cores": 2, "gpus": 0, "kept_in": "results/calibration.json"}
    return Estimate(stages=stages or (stage_estimate(),), **values | changes)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, None),
        (
            {"memory": 9e9},
            "jobs at once need about 8.4 GiB of memory, the machine has 7.5 GiB; run with fewer --cores",
        ),
        (
            {"memory_there": 1e9},
            "a job of infer_cam needs about 1.9 GiB of memory, the machine has 953.7 MiB; lower",
        ),
        ({"disk": 1e10}, "the run writes about 9.3 GiB, 8.4 GiB are free; free some, or set runtime.results"),
    ],
)
def test_what_the_machine_does_not_have(changes, warning):
    found = list(warnings(made_up(**changes)))
    assert len(found) == (warning is not None)
    assert not found or found[0].startswith(warning)
    if warning:
        assert any(line.startswith(f"warning: {warning}") for line in lines(made_up(**changes)))


def test_table():
    done = stage_estimate(stage="train_cam", there=1, to_do=0, seconds=0, disk=0, memory=0, sources=())
    text = list(
        lines(made_up(done, stage_estimate(total=4, there=1, to_do=3, sources=(CALIBRATED, EARLIER))))
    )
    assert [line.split() for line in text[:4]] == [
        ["stage", "jobs", "there", "time", "memory", "disk", "by"],
        ["train_cam", "0", "1/1"],
        ["infer_cam", "3", "1/4", "1m30s", "1.9", "GiB", "2.8", "GiB", *["calibration,", "earlier", "jobs"]],
        ["all", "3", "1m30s", "2.8", "GiB"],
    ]
    assert text[4] == "on 2 cores: about 1m35s"
    assert any(line.startswith("calibration: ") and "results/calibration.json" in line for line in text)


def test_verb(tiny, tmp_path, capsys):
    config = tmp_path / "my.yaml"
    config.write_text(yaml.safe_dump(tiny), encoding="utf-8")
    words = ["plan", "--config", str(config), "--no-calibrate"]
    assert main([*words, "--cores", "1"]) == 0
    assert "on 1 cores: about" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["jobs"] == 46
    assert found["stages"][0]["stage"] == "train_cam"
    assert found["seconds"] == pytest.approx(sum(stage["seconds"] for stage in found["stages"]), abs=1)
    assert found["stages"][0]["by"] == [GENERAL]
    for cores in ("0", "many"):
        with pytest.raises(SystemExit) as caught:
            main([*words, "--cores", cores])
        assert caught.value.code == 2


def test_the_small_run_has_every_speed_of_the_run(tiny):
    """What it has not would be measured anew each time, and never be known."""
    run = planned(merge(tiny, {"segmenters": ["deeplab"], "sweep": {"seed": [0, 1]}}))

    def keys(artifacts) -> set[str]:
        records: dict[str, Record] = {artifact.recipe: artifact.record for artifact in artifacts}
        return {speed_key(record, records.get) for record in records.values()}

    small = [
        artifact
        for config, index in run.settings
        for artifact in make_plan(small_config(config), small_index(index)).artifacts
    ]
    assert keys(run.plan.artifacts) == keys(small)
    assert len(small) < len(run.plan.artifacts)


def test_trainings_of_the_small_run_are_short(tiny):
    config = small_config(parse_config(merge(tiny, {"cam": {"train": {"epochs": 50}}, "shards": {"n": 64}})))
    assert (config.cam.train.epochs, config.irnet.train.epochs, config.shards.n) == (1, 1, 1)
    assert config.maskrcnn.train.iterations == config.deeplab.train.iterations == STEPS


def test_the_small_run_has_photos_of_usual_size(tiny, photo_set, tmp_path):
    photos = shutil.copytree(photo_set, tmp_path / "photos")
    values = merge(tiny, {"dataset": {"root": str(photos), "train": "all"}})
    _, index = planned(values).settings[0]
    chosen = small_index(index)
    labelled = sorted(entry.height * entry.width for entry in index.train if entry.labels)
    sizes = [entry.height * entry.width for entry in chosen.train]
    assert len(sizes) == min(PHOTOS, len(labelled))
    assert all(entry.labels for entry in chosen.train)
    assert chosen.label == chosen.train
    assert sorted(sizes) == labelled[(len(labelled) - len(sizes)) // 2 :][: len(sizes)]


def test_images_that_alone_have_ground_truth_are_labelled_in_the_small_run(tiny, photo_set, tmp_path):
    photos = shutil.copytree(photo_set, tmp_path / "photos")
    (photos / "evaluated.txt").write_text("label only\n", encoding="utf-8")
    _, index = planned(merge(tiny, {"dataset": {"root": str(photos), "evaluate": "evaluated.txt"}})).settings[
        0
    ]
    chosen = small_index(index)
    assert [entry.image_id for entry in chosen.label] == ["label only"]
    assert "label only" not in {entry.image_id for entry in chosen.train}


@pytest.mark.parametrize(("load", "told_of"), [(0.2, []), (1.7, ["1.7 cores were busy in the last minute"])])
def test_a_busy_machine_is_told_of(tiny, monkeypatch, load, told_of):
    monkeypatch.setattr("os.getloadavg", lambda: (load, 9.0, 9.0))
    said: list[str] = []
    assert trial.calibrate(planned(tiny), [], device="cpu", tell=said.append) == {}
    assert [line.split(":")[0] for line in said] == told_of


def test_a_calibration_job_that_fails_ends_it_and_is_told_of(tiny, monkeypatch):
    made = []

    def run(command, **options):
        made.append(command[3])
        return subprocess.CompletedProcess(command, 2, "", "a line\nerror: no room on the disk\n")

    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(subprocess, "run", run)
    run_ = planned(tiny)
    records = {artifact.recipe: artifact.record for artifact in run_.plan.artifacts}
    keys = {speed_key(record, records.get) for record in records.values()}
    said: list[str] = []
    assert trial.calibrate(run_, keys, device="cpu", tell=said.append) == {}
    assert made == ["train_cam"]
    assert said[-1] == "calibration: train_cam: no room on the disk; what follows it is estimated without"
