"""What `STAGES` declares against what stages do: every key that a stage declares changes what it makes, none other."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from freeze import Content, content_of, job_of, outputs
from made_up import MadeUpRun, made_up_weights
from test_frozen import difference

from first_stages import FIRST_STAGES
from irnet_pipe.config.documents import is_runtime
from irnet_pipe.config.keys import leaves
from irnet_pipe.models.backbone import Backbone
from irnet_pipe.runtime.job import Job
from irnet_pipe.stage_table import STAGES

pytestmark = pytest.mark.slow

OTHER: dict[str, object] = {
    "dataset.predict_threshold": 1.0,
    "dataset.working_long_side": 48,
    "irnet.infer.canvas": 128,
    "export.instance.min_fragment": 0.1,
    "cam.train.epochs": 1,
    "cam.train.optimizer": "adamw",
    "cam.train.batch_norm": "batch",
    "irnet.train.epochs": 1,
    "maskrcnn.train.precision": "bf16",
    "maskrcnn.infer.precision": "bf16",
    "maskrcnn.infer.min_score": 1.0,
    "deeplab.train.precision": "bf16",
    "deeplab.infer.precision": "bf16",
    "affinitynet.train.epochs": 1,
    "affinitynet.train.precision": "bf16",
    "affinitynet.infer.precision": "bf16",
}
"""Values that tell on the made-up run where those of `FIRST_STAGES` do not."""

OF_THE_PLAN = {
    *("sweep", "segmenters", "cam.trained", "irnet.trained", "export.variants", "review", "shards.n"),
    *(f"report.{key}" for key in ("images", "gallery", "one_file")),
    *(f"dataset.{key}" for key in ("format", "photos", "labels", "classes", "train", "label")),
    *(f"dataset.{key}" for key in ("evaluate", "ground_truth", "negatives", "missing", "max_pixels")),
    *(f"tables.{key}" for key in ("seeds", "rows", "pseudo_images", "segmenter_images")),
}
"""Keys that decide what is planned and from which data: no stage reads them, tests of plans look at them."""


def declared(stage: str) -> dict[str, str]:
    """Leaf of the config → the path under which a stage declares it."""
    return {
        leaf: read
        for leaf, _ in leaves()
        for read in STAGES[stage].reads
        if leaf == read or leaf.startswith(f"{read}.")
    }


DECLARED = [(stage, leaf) for stage in STAGES for leaf in declared(stage)]
TRAINERS = {
    "cam": "train_cam",
    "irnet": "train_irnet",
    "affinitynet": "train_affinitynet",
    "maskrcnn": "train_maskrcnn",
    "deeplab": "train_deeplab",
}
ALONE = {f"{section}.{key}" for section in TRAINERS for key in ("weights", "backbone")} | {
    "maskrcnn.train.source",
    "deeplab.train.source",
}
"""Keys that have tests of their own: weights may be a file, whose digest stands in the spec in place of its path; the
source is that of other parents."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


@pytest.fixture(scope="module")
def usual(run, tmp_path_factory):
    """What a stage makes with the settings of the made-up run."""

    @cache
    def make(stage: str) -> Content:
        return outputs(run, stage, folder=tmp_path_factory.mktemp("usual"))

    return make


def settings_with(stage: str, leaf: str, value: object) -> dict[str, Any]:
    """The settings of a spec that give a leaf a value: one path of several keys for a section."""
    read = declared(stage)[leaf]
    for key in reversed(leaf.removeprefix(read).split(".")[1:]):
        value = {key: value}
    return {read: value}


def test_every_key_is_declared_by_a_stage_or_decides_the_plan():
    science = {leaf for leaf, field in leaves() if not is_runtime(field)}
    assert {leaf for stage in STAGES for leaf in declared(stage)} == science - OF_THE_PLAN
    assert science >= OF_THE_PLAN


@pytest.mark.parametrize(("stage", "leaf"), [(stage, leaf) for stage, leaf in DECLARED if leaf not in ALONE])
def test_another_value_gives_another_output(stage, leaf, run, usual, tmp_path):
    value = OTHER.get(leaf, FIRST_STAGES[leaf][0])
    found = outputs(run, stage, folder=tmp_path, settings=settings_with(stage, leaf, value))
    assert difference(usual(stage), found, tolerance=0), f"{stage} declares {leaf}, which changes nothing"


def trained_from(
    run: MadeUpRun, section: str, state: dict[str, torch.Tensor], *, backbone: str, folder: Path
) -> Content:
    """What a trainer makes of a state dict of a backbone."""
    folder.mkdir()
    torch.save(state, folder / "state.pth")
    stage = TRAINERS[section]
    settings = settings_with(stage, f"{section}.backbone", backbone)
    job = job_of(run, run.plan.of(stage)[0], folder=folder, settings=settings)
    record = dataclasses.replace(job.record, files={f"{section}.weights": str(folder / "state.pth")})
    return content_of(dataclasses.replace(job, record=record))


@pytest.mark.parametrize("section", TRAINERS)
def test_other_weights_and_another_backbone_give_another_output(section, run, tmp_path):
    state = made_up_weights(Backbone("resnet34"))
    smaller = {key: value for key, value in state.items() if key in Backbone("resnet18").state_dict()}
    other = smaller | {"conv1.weight": 2 * smaller["conv1.weight"]}
    first, second, third = (
        trained_from(run, section, state, backbone=backbone, folder=tmp_path / str(number))
        for number, (backbone, state) in enumerate(
            [("resnet18", smaller), ("resnet18", other), ("resnet34", state)]
        )
    )
    assert difference(first, second, tolerance=0), f"{section}.weights changes nothing"
    assert difference(first, third, tolerance=0), f"{section}.backbone changes nothing"


@pytest.mark.parametrize("stage", STAGES)
def test_settings_asked_for_are_those_declared(stage, run, tmp_path, monkeypatch):
    asked = set()
    setting = Job.setting

    def note(job: Job, path: str) -> Any:
        asked.add(path)
        return setting(job, path)

    monkeypatch.setattr(Job, "setting", note)
    outputs(run, stage, folder=tmp_path)
    # the made-up classifier starts from a file, which takes the place of the setting
    by_file = set(run.plan.of(stage)[0].record.files)
    assert asked | by_file == set(STAGES[stage].reads)


def test_a_setting_that_is_not_declared_cannot_be_read(run):
    job = run.job(run.plan.of("propagate")[0])
    assert job.setting("random_walk")
    for path in ("displacement", "random_walk.beta", "seed"):
        with pytest.raises(KeyError, match=path):
            job.setting(path)


@pytest.mark.parametrize("stage", TRAINERS.values())
def test_saving_at_every_step_changes_no_byte_of_weights(stage, run, tmp_path):
    (artifact,) = run.plan.of(stage)
    made = []
    for minutes in (5, 1e-9):
        job = job_of(run, artifact, folder=tmp_path / str(minutes))
        content_of(dataclasses.replace(job, checkpoint_minutes=minutes))
        made.append(job.output.read_bytes())
    assert made[0] == made[1]
