"""Presets of the paper's schedules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.config import config_value, parse_config
from irnet_pipe.config.keys import leaves
from irnet_pipe.config.presets import PRESETS, merge
from irnet_pipe.errors import InputError

TREES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
).filter(lambda tree: isinstance(tree, dict))


def paths(values: dict, prefix: str = ""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_set_what_they_name(name):
    config = parse_config({"preset": name})
    known = {path for path, _ in leaves()}
    for path in paths(PRESETS[name]):
        assert path in known
        value = PRESETS[name]
        for key in path.split("."):
            value = value[key]
        assert config_value(config, path) == value


@pytest.mark.parametrize(("name", "batch", "epochs"), [("paper_default", 32, 3), ("paper_log", 16, 5)])
def test_schedules_of_the_paper(name, batch, epochs):
    """990 and 3,305 steps on the 10,582 images of VOC train_aug."""
    train = parse_config({"preset": name}).irnet.train
    assert (train.batch, train.epochs) == (batch, epochs)
    assert 10_582 // train.batch * train.epochs == {"paper_default": 990, "paper_log": 3305}[name]


def test_presets_keep_what_figures_depend_on():
    config = parse_config({"preset": "paper_default"})
    assert config.dataset.working_long_side is None
    assert config.cam.train.momentum == config.irnet.train.momentum == 1e-4
    assert config.relations.fg_threshold == 0.30 and config.export.instance.bg_threshold == 0.25


def test_own_values_win():
    config = parse_config({"preset": "paper_log", "irnet": {"train": {"epochs": 1}}})
    assert (config.irnet.train.epochs, config.irnet.train.precision) == (1, "fp32")


@pytest.mark.parametrize("name", [None, "none"])
def test_no_preset(name):
    assert parse_config({"preset": name}) == parse_config({})


def test_unknown_preset():
    with pytest.raises(InputError, match=r"preset is 'paper': .*'paper_default', 'paper_log' or 'small'"):
        parse_config({"preset": "paper"})


@given(TREES, TREES)
@settings(deadline=None, max_examples=50)
def test_merge(base, override):
    before = repr(base), repr(override)
    merged = merge(base, override)
    assert (repr(base), repr(override)) == before
    assert merge(merged, override) == merged
    assert merge(base, {}) == base and merge({}, override) == override
    assert set(merged) == set(base) | set(override)
