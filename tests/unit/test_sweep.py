"""Sweeps: several settings in one plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from irnet_pipe.config import config_value, parse_config, setting_name, settings_of
from irnet_pipe.errors import InputError
from irnet_pipe.plan import Plan
from irnet_pipe.workflow import prepare


def names(sweep: dict) -> list[str]:
    return [setting_name(setting) for setting in settings_of(parse_config({"sweep": sweep}))]


def plan_of(values: dict, sweep: dict) -> Plan:
    return prepare(parse_config(values | {"sweep": sweep})).plan


def labels(plan: Plan, stage: str) -> list[str]:
    return [artifact.label.removeprefix(f"{stage} ") for artifact in plan.of(stage)]


@pytest.mark.parametrize("sweep", [{}, None])
def test_without_a_sweep_there_is_one_setting_without_name(sweep):
    assert names(sweep) == [""]


def test_every_combination_is_a_setting_the_first_key_changing_slowest():
    settings = settings_of(parse_config({"sweep": {"seed": [0, 1], "random_walk.beta": ["8", 1e1]}}))
    values = [(setting.seed, setting.random_walk.beta) for setting in settings]
    assert values == [(0, 8.0), (0, 10.0), (1, 8.0), (1, 10.0)]
    assert setting_name(settings[1]) == "seed=0,random_walk.beta=10.0"


def test_names_are_names_of_folders():
    sweep = {
        "cam.infer.scales": [[1, 2]],
        "cam.weights": ["my weights/a.pth"],
        "dataset.working_long_side": ["none"],
        "dataset.train": ["x" * 300],
    }
    (name,) = names(sweep)
    start = "cam.infer.scales=1.0+2.0,cam.weights=my%20weights%2Fa.pth,dataset.working_long_side=null,"
    assert name.startswith(start)
    assert len(name) < 150
    assert names(sweep | {"dataset.train": ["x" * 299 + "y"]}) != [name]


def test_values_left_out_are_those_of_the_config_and_its_preset():
    (setting,) = settings_of(parse_config({"preset": "paper_default", "sweep": {"irnet.train.epochs": [7]}}))
    assert (setting.irnet.train.epochs, setting.irnet.train.batch) == (7, 32)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"sead": [1]}, r"sead: unknown key; did you mean seed\?"),
        ({"random_walk.beta": [8, 99]}, r"sweep .*99.*: random_walk\.beta is 99"),
        ({"random_walk": [8]}, r"random_walk is 8"),
        ({"seed": [0, "0"]}, r"holds a value twice; name each once"),
        ({"seed": list(range(300))}, r"300 settings, at most 256 .*give fewer values"),
        ({"run": ["a"]}, r"run belongs to the run as a whole"),
        ({"runtime.workers": [1]}, r"runtime\.workers belongs to the run as a whole"),
        ({"sweep": [{}]}, r"sweep belongs to the run as a whole"),
        ({"irnet.train.crop": [64]}, r"crop is 64, but radius 10 needs 73"),
        ({"seed": 1}, r"sweep\.seed is 1"),
        ({"seed": []}, r"sweep\.seed is \[\]"),
    ],
)
def test_what_is_refused(sweep, message):
    with pytest.raises(InputError, match=message):
        settings_of(parse_config({"sweep": sweep}))


def test_an_error_that_all_settings_share_is_told_once_each_setting():
    with pytest.raises(InputError) as caught:
        settings_of(parse_config({"sweep": {"random_walk.beta": [98, 99], "seed": [0]}}))
    assert len(caught.value.problems) == 2


def test_what_settings_share_is_planned_once(tiny):
    alone = {key: plan_of(tiny, {"random_walk.beta": [key]}) for key in (8, 10)}
    both = plan_of(tiny, {"random_walk.beta": [8, 10]})
    recipes = [artifact.recipe for artifact in both.artifacts]
    assert len(set(recipes)) == len(recipes)
    *of_settings, comparison = both.artifacts
    assert "settings" in comparison.record.spec
    assert {a.recipe for a in of_settings} == {a.recipe for plan in alone.values() for a in plan.artifacts}
    for stage in ("train_cam", "infer_cam", "train_irnet", "infer_irnet", "refine_displacement"):
        assert both.of(stage) == alone[8].of(stage) == alone[10].of(stage)
    assert len(both.of("propagate")) == 2 * len(alone[8].of("propagate"))


def test_parents_come_before_children(tiny):
    seen = set()
    for artifact in plan_of(tiny, {"random_walk.beta": [8, 10], "seed": [0, 1]}).artifacts:
        assert {parent.recipe for parent in artifact.parents} <= seen
        seen.add(artifact.recipe)


def test_a_setting_has_the_recipes_of_a_config_that_sets_its_values(tiny):
    swept = plan_of(tiny, {"seed": [3]})
    plain = plan_of(tiny | {"seed": 3}, {})
    assert {a.recipe for a in swept.artifacts if a.stage != "publish"} == {
        a.recipe for a in plain.artifacts if a.stage != "publish"
    }


def test_labels_name_the_swept_keys_that_matter(tiny):
    plan = plan_of(tiny, {"seed": [0, 1], "random_walk.beta": [8, 10]})
    assert labels(plan, "train_cam") == ["all seed 0", "all seed 1"]
    shards = len(plan.of("propagate")) // 4
    assert labels(plan, "propagate")[::shards] == [
        f"{plan.of('propagate')[0].unit} seed {seed} random_walk.beta={beta}"
        for seed in (0, 1)
        for beta in (8.0, 10.0)
    ]


def test_each_setting_is_published_to_a_folder_of_its_own(tiny):
    plan = plan_of(tiny, {"seed": [0, 1]})
    assert [target.record.spec["run"] for target in plan.targets] == [
        "tiny/seed=0",
        "tiny/seed=1",
        "tiny/settings",
    ]


def test_keys_of_the_data_set_can_be_swept(tiny):
    plan = plan_of(tiny, {"dataset.negatives": ["use", "drop"]})
    assert (len(plan.of("train_cam")), len(plan.targets)) == (2, 3)
    assert labels(plan, "train_cam") == [
        "all seed 0 dataset.negatives=use",
        "all seed 0 dataset.negatives=drop",
    ]


def test_records_and_lists_of_all_settings_are_written(tiny):
    prepared = prepare(parse_config(tiny | {"sweep": {"shards.n": [1, 3]}}))
    results = Path(config_value(parse_config(tiny), "runtime.results"))
    for artifact in prepared.plan.artifacts:
        assert (results / "recipes" / f"{artifact.recipe}.json").is_file()
        assert all((results / path).is_file() for path in artifact.record.images)
