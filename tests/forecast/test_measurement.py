"""What attempts at artifacts tell of other jobs."""

from __future__ import annotations

import dataclasses

import pytest
from made_up_attempts import attempt

from irnet_pipe.forecast.calibrations import Calibrations
from irnet_pipe.forecast.measurement import LOADED_MEMORY, Measurement, measure, typical
from irnet_pipe.forecast.workload import Workload
from irnet_pipe.recipes import Record

SHARD = Record("a" * 16, "infer_cam", 2, "train-00-of-02", "x", "infer_cam/x.h5", {"config": {}}, (), (), {})
TRAINING = dataclasses.replace(
    SHARD, stage="train_cam", unit="all", spec={"config": {"cam.train": {"batch": 4}}}
)
WORK = Workload(items=100, megapixels=50, largest=1)


def test_start_and_rate(tmp_path):
    attempt(tmp_path, SHARD, (10.5, 1, 10), (40, 60, 39), (60, 100, 59.5))
    found = measure(SHARD, tmp_path, WORK, device="cpu")
    assert found.rate == pytest.approx(1.0), "99 images of half a megapixel in 49.5 s"
    assert found.start == pytest.approx(10)
    assert found.cpu_rate == pytest.approx(1.0)
    assert found.cpu_start == pytest.approx(40), "of processes that load photos too"
    assert (found.memory, found.largest) == (10**9, 1)
    assert found.seconds(Workload(1000, 500, 1)) == pytest.approx(510)
    assert found.cpu_seconds(WORK) == pytest.approx(90)


def test_artifacts_grow_with_the_images_and_weights_do_not(tmp_path):
    for record in (SHARD, TRAINING):
        attempt(tmp_path, record, (10.5, 1, 10), (60, 100, 59.5))
        (tmp_path / SHARD.path).parent.mkdir(exist_ok=True)
        (tmp_path / SHARD.path).write_bytes(b"x" * 5000)
    assert measure(SHARD, tmp_path, WORK, device="cpu").bytes(Workload(10, 5, 1)) == pytest.approx(500)
    assert measure(TRAINING, tmp_path, WORK, device="cpu").bytes(Workload(10, 5, 1)) == pytest.approx(5000)
    (tmp_path / SHARD.path).unlink()
    assert measure(SHARD, tmp_path, WORK, device="cpu").bytes(WORK) == 0


def test_work_that_does_not_grow_is_all_start(tmp_path):
    attempt(tmp_path, SHARD)
    found = measure(SHARD, tmp_path, Workload(), device="cpu")
    assert (found.start, found.rate, found.cpu_start) == (60, 0, 90)


def test_a_training_that_went_on_from_a_checkpoint(tmp_path):
    attempt(tmp_path, TRAINING, (10.5, 4, 10), outcome="interrupted", name="1")
    attempt(tmp_path, TRAINING, (20, 64, 10), (52, 96, 42), name="2")
    found = measure(TRAINING, tmp_path, WORK, device="cpu")
    assert found.rate == pytest.approx(2.0), "an image of half a megapixel a second"
    assert found.start == pytest.approx(60 - 36), "32 images and the batch before the first word of it"


def test_what_tells_nothing(tmp_path):
    assert measure(SHARD, tmp_path, WORK, device="cpu") is None, "no attempt"
    attempt(tmp_path, SHARD, (10, 1, 9), (50, 99, 59), outcome="failed", name="1")
    attempt(tmp_path, SHARD, (10, 1, 9), (50, 99, 59), host="elsewhere", name="2")
    attempt(tmp_path, SHARD, name="3")
    assert measure(SHARD, tmp_path, WORK, device="cpu") is None
    attempt(tmp_path, SHARD, (10, 1, 9), (50, 99, 59), name="4")
    assert measure(SHARD, tmp_path, WORK, device="cpu") is not None


def test_networks_on_another_device_tell_nothing_other_stages_do(tmp_path):
    walk = dataclasses.replace(SHARD, stage="propagate")
    for record, device in ((SHARD, "NVIDIA Test"), (walk, "cpu")):
        attempt(tmp_path, record, (10, 1, 9), (50, 99, 59), device=device)
    assert measure(SHARD, tmp_path, WORK, device="cpu") is None
    assert measure(SHARD, tmp_path, WORK, device="cuda") is not None
    assert measure(walk, tmp_path, WORK, device="cuda") is not None


def test_memory_beyond_the_image_that_was_measured():
    found = Measurement(1, memory=LOADED_MEMORY + 1000, largest=2)
    assert found.peak_memory(Workload(1, 1, 1)) == LOADED_MEMORY + 1000
    assert found.peak_memory(Workload(1, 6, 6)) == LOADED_MEMORY + 3000
    assert Measurement(1, memory=1000, largest=2).peak_memory(Workload(1, 6, 6)) == 1000
    assert Measurement(1, memory=1000).peak_memory(Workload(1, 6, 6)) == 1000


def test_the_typical_of_several():
    shards = [
        Measurement(start, rate=1, memory=memory, largest=memory)
        for start, memory in ((9, 1), (2, 7), (3, 5))
    ]
    assert typical(shards) == Measurement(3, rate=1, memory=7, largest=7)


def test_calibrations_are_kept_for_this_machine(tmp_path, monkeypatch):
    Calibrations(tmp_path, device="cpu").add({"a": Measurement(1, rate=2)})
    Calibrations(tmp_path, device="cpu").add({"b": Measurement(3)})
    kept = Calibrations(tmp_path, device="cpu")
    assert (kept.find("a"), kept.find("b"), kept.find("c")) == (Measurement(1, rate=2), Measurement(3), None)
    assert Calibrations(tmp_path, device="cuda").find("a") is None
    monkeypatch.setattr("irnet_pipe.forecast.measurement.version", lambda package: "0.1")
    assert Calibrations(tmp_path, device="cpu").find("a") is None, "another torch"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 1}', '{"measurements": {"a": {"speed": 1}}}'])
def test_damaged_calibrations_are_measured_anew(tmp_path, text):
    kept = Calibrations(tmp_path, device="cpu")
    kept.add({"a": Measurement(1)})
    kept.path.write_text(text, encoding="utf-8")
    assert Calibrations(tmp_path, device="cpu").find("a") is None
