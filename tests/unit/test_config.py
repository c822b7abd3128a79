"""The typed config: what is accepted, and what an error says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from irnet_pipe.config import Config, config_value, load_config, parse_config, parse_runtime
from irnet_pipe.config.keys import leaves
from irnet_pipe.errors import InputError


def problems(values: dict) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_config(values)
    return caught.value.problems


def test_numbers_may_be_strings():
    """YAML reads 1e-1 as a string, and so does every leaf of snakemake's --config."""
    assert yaml.safe_load("1e-1") == "1e-1"
    config = parse_config({"cam": {"train": {"lr": "1e-1"}}, "random_walk": {"beta": "12"}, "seed": "3"})
    assert (config.cam.train.lr, config.random_walk.beta, config.seed) == (0.1, 12, 3)


def test_spelling_of_a_value_changes_nothing():
    assert parse_config({"random_walk": {"beta": "8"}}) == parse_config({"random_walk": {"beta": 8.0}})
    assert parse_config({"seed": 0}) == parse_config({})


@pytest.mark.parametrize("word", ["none", "None", "null", "", None])
def test_none_is_a_word(word):
    config = parse_config({"dataset": {"working_long_side": word, "root": word, "classes": word}})
    assert config.dataset.working_long_side is None
    assert config.dataset.root is None
    assert config.dataset.classes is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cam": {"trian": {}}}, "config: cam.trian: unknown key; did you mean cam.train?"),
        ({"cam": {"train": {"epoch": 1}}}, "did you mean cam.train.epochs?"),
        ({"randomwalk": {}}, "did you mean random_walk?"),
        ({"zzz": 1}, "config: zzz: unknown key; config/README.md lists the keys"),
        ({"random_walk": {"radius": 1}}, "random_walk.radius is 1: .*greater than or equal to 2"),
        ({"random_walk": {"beta": 1000}}, "random_walk.beta is 1000: .*less than or equal to 20"),
        ({"cam": {"backbone": "vgg16"}}, "cam.backbone is 'vgg16': .*'resnet18'.*'resnet101'"),
        ({"dataset": {"missing": "ignore"}}, "'error', 'negative' or 'predict'"),
        ({"export": {"variants": []}}, r"export.variants is \[\]: .*at least 1"),
        ({"export": {"variants": ["full", "full"]}}, "holds a variant twice; name each once"),
        ({"cam": {"train": {"long_side": [640, 320]}}}, r"long_side \[640, 320\] must be \[low, high\]"),
        *(
            (
                {"export": {kind: {"bg_threshold": value}}},
                rf"config: export\.{kind}\.bg_threshold: {value!r} is neither a number from 0 to 1 nor auto; give",
            )
            for kind, value in (("instance", 1.5), ("semantic", "automatic"), ("instance", None))
        ),
        ({"relations": {"bg_threshold": 0.5}}, "bg_threshold 0.5 is above fg_threshold 0.3;.* lower"),
        ({"irnet": {"infer": {"canvas": 500}}}, "irnet.infer.canvas is 500: .*multiple of 16"),
        (
            {"irnet": {"weights": "none"}},
            "weights: none would freeze random features.*set irnet.weights: cam",
        ),
        ({"cam": {"weights": "none"}}, "cannot learn, frozen layers.*set cam.train.freeze: none"),
        (
            {"cam": {"weights": None, "train": {"freeze": "none"}}},
            "no statistics are known; set cam.train.batch_norm: batch",
        ),
        ({"irnet": {"weights": "cam", "backbone": "resnet18"}}, "must be cam.backbone"),
        ({"run": "../up"}, "run is '../up': .*pattern"),
        ({"runtime": {"device": "gpu"}}, "runtime.device is 'gpu': .*pattern"),
        ({"cam": {"train": {"lr": float("nan")}}}, "cam.train.lr is nan: .*finite"),
        ({"seed": "three"}, "seed is 'three': .*integer"),
        ({"seed": 0.5}, "seed is 0.5: .*integer"),
        ({"dataset": "photos"}, "dataset is 'photos': .*dictionary"),
    ],
)
def test_errors_name_key_value_and_bound(values, message):
    (problem,) = problems(values)
    assert re.search(message, problem), problem


def test_all_problems_at_once():
    found = problems({"zzz": 1, "seed": -1, "random_walk": {"beta": 0, "radius": 99}})
    assert len(found) == 4


@pytest.mark.parametrize("path", [path for path, _ in leaves()])
def test_every_default_is_valid_and_every_key_has_a_value(path):
    config = Config()
    value = config_value(config, path)
    nested = value
    for key in reversed(path.split(".")):
        nested = {key: nested}
    assert config_value(parse_config(nested), path) == value


def test_every_key_is_described():
    assert all(field.description and field.description.endswith(".") for _, field in leaves())


def test_weights_that_are_trained_need_no_initial_ones():
    config = parse_config({"cam": {"weights": None, "trained": "x.pth"}, "irnet": {"trained": "y.pth"}})
    assert config.cam.weights is None


def test_values_cannot_be_changed_later():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 1


def test_files_are_merged_key_by_key(tmp_path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("seed: 1\nrandom_walk: {beta: 8, radius: 4}\n", encoding="utf-8")
    other.write_text("random_walk: {beta: 1e1}\n", encoding="utf-8")
    config = load_config(one, other)
    assert (config.seed, config.random_walk.beta, config.random_walk.radius) == (1, 10, 4)


def test_empty_file_is_the_default(tmp_path):
    (tmp_path / "my.yaml").touch()
    assert load_config(tmp_path / "my.yaml") == Config()


def test_runtime_alone_reads_no_science():
    root, runtime = parse_runtime(
        {"dataset": {"root": "photos"}, "runtime": {"workers": "4"}, "cam": {"backbone": "nonsense"}}
    )
    assert (root, runtime.workers) == ("photos", 4)


@pytest.mark.parametrize("dataset", [None, {}, {"root": None}, "photos", ["photos"]])
def test_runtime_of_a_config_without_root(dataset):
    assert parse_runtime({"dataset": dataset})[0] == "."


def test_runtime_errors():
    with pytest.raises(InputError, match=r"config: runtime: workers is -1"):
        parse_runtime({"runtime": {"workers": -1}})
    with pytest.raises(InputError, match="runtime"):
        parse_runtime({"runtime": "fast"})


def test_demo_config_is_valid():
    root = Path(__file__).parents[2]
    for path in sorted((root / "config").glob("*.yaml")):
        assert load_config(path)
