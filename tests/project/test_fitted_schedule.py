"""Schedules of `init`: few photos and many, small ones and large ones, with and without a CUDA device."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from irnet_pipe.config import parse_config
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.project.schedule import Machine, cpu, fit_schedule, gpu

GPU, CPU = gpu("a GPU", 24 << 30), cpu(16 << 30)


def train(
    count: int,
    *,
    size: tuple[int, int] = (375, 500),
    classes: int = 20,
    negatives: int = 0,
    rare: int = 0,
) -> tuple[ImageEntry, ...]:
    """Training images of one class each, in turn; the last ones have none, the first ones another one too."""

    def labels(i: int) -> tuple[int, ...]:
        return () if i >= count - negatives else (i % classes, classes) if i < rare else (i % classes,)

    return tuple(ImageEntry(f"{i:06}", f"{i}.jpg", *size, labels(i), "0") for i in range(count))


def steps(values: dict[str, Any], section: str, images: int) -> int:
    settings = values[section]["train"]
    return images // settings["batch"] * settings["epochs"]


@pytest.mark.parametrize("machine", [GPU, CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize("size", [(40, 30), (375, 500), (3000, 2000)])
@pytest.mark.parametrize("count", [5, 60, 1000, 60_000])
def test_any_data_set_gets_a_valid_schedule(count: int, size: tuple[int, int], machine: Machine) -> None:
    values = fit_schedule(train(count, size=size), machine)
    config = parse_config(values)
    for section in (config.cam, config.irnet):
        assert count >= 4 * section.train.batch or section.train.batch == 1
        assert section.train.crop >= 4 * (2 * config.irnet.radius - 2) + 1
        assert section.train.crop <= config.dataset.working_long_side
    steps_done = steps(values, "cam", count)
    assert steps_done <= machine.steps[1] or config.cam.train.epochs == 1
    assert steps_done >= machine.steps[0] or config.cam.train.epochs == 100


def test_voc_on_a_gpu_gets_the_schedule_of_the_paper() -> None:
    values = fit_schedule(train(10_582, rare=200), GPU)
    paper = parse_config({"preset": "paper_log"})
    config = parse_config(values)
    for key in ("epochs", "batch", "crop", "lr", "lr_classifier", "long_side"):
        assert getattr(config.cam.train, key) == getattr(paper.cam.train, key), key
    for key in ("epochs", "batch", "crop", "lr_boundary", "lr_displacement"):
        assert getattr(config.irnet.train, key) == getattr(paper.irnet.train, key), key
    assert (config.irnet.radius, config.irnet.infer.canvas) == (paper.irnet.radius, paper.irnet.infer.canvas)
    assert config.displacement.threshold == paper.displacement.threshold
    assert config.random_walk.exp_times == paper.random_walk.exp_times


def test_a_rare_class_asks_for_more_epochs() -> None:
    usual, rare = (fit_schedule(train(4000, rare=rare), GPU) for rare in (1000, 10))
    assert usual["cam"]["train"]["epochs"] == 5
    assert rare["cam"]["train"]["epochs"] == 10


def test_irnet_counts_photos_with_labels_alone() -> None:
    values = fit_schedule(train(64, negatives=32), GPU)
    assert values["cam"]["train"]["batch"] == 16
    assert values["irnet"]["train"]["batch"] == 8
    assert values["irnet"]["train"]["lr_displacement"] == 0.5


def test_little_memory_halves_batch_and_learning_rate() -> None:
    values = fit_schedule(train(1000), gpu("small", 6 << 30))
    assert values["cam"]["train"]["batch"] == 8
    assert values["cam"]["train"]["lr_classifier"] == 0.5


@pytest.mark.parametrize(
    ("classes", "lr", "lr_classifier"), [(1, 0.005, 0.05), (10, 0.05, 0.5), (80, 0.1, 1)]
)
def test_fewer_classes_than_the_paper_learn_slower(classes: int, lr: float, lr_classifier: float) -> None:
    """The loss is a mean over classes; one class at the paper's rates ends in NaN."""
    settings = fit_schedule(train(1000, classes=classes), GPU)["cam"]["train"]
    assert (settings["lr"], settings["lr_classifier"]) == (lr, lr_classifier)


def test_small_photos_get_small_crops_and_radius() -> None:
    values = fit_schedule(train(100, size=(120, 150)), GPU)
    assert values["cam"]["train"]["crop"] == values["irnet"]["infer"]["canvas"] == 160
    assert values["cam"]["train"]["long_side"] == [100, 200]
    assert values["irnet"]["radius"] == 4
    assert values["random_walk"]["exp_times"] == 5


def test_the_table_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| (batch .*) \| (batch .*) \|$", page, flags=re.MULTILINE)
    assert len(rows) == 4
    for count, *cells in rows:
        images = int(count.replace(",", ""))
        for cell, machine in zip(cells, (GPU, CPU), strict=True):
            values = fit_schedule(train(images), machine)
            batch, epochs = (values["cam"]["train"][key] for key in ("batch", "epochs"))
            done = steps(values, "cam", images)
            assert cell == f"batch {batch}, {epochs} epoch{'s' * (epochs > 1)}, {done:,} steps"
