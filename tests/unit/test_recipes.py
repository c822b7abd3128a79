"""Records of recipes as files."""

import dataclasses
import json
import os

import pytest

from irnet_pipe.errors import InputError
from irnet_pipe.recipes import Parent, Record, ancestors, read_record, record_path, write_record
from irnet_pipe.workflow import prepare

RECORD = Record(
    recipe="0123456789abcdef",
    stage="propagate",
    version=1,
    unit="label-00-of-02",
    label="propagate label-00-of-02 seed 0",
    path="propagate/label-00-of-02.0123456789abcdef.h5",
    spec={"config": {"random_walk": {"beta": 10.0}}, "files": {}, "classes": ["größe", "猫"]},
    parents=(Parent("infer_cam", "label-00-of-02", "f" * 16, f"infer_cam/label-00-of-02.{'f' * 16}.h5"),),
    images=("index/abc/images.json",),
    files={"cam.trained": "/far/away.pth"},
)


def test_round_trip(tmp_path):
    write_record(tmp_path, RECORD)
    path = record_path(tmp_path, RECORD.recipe)
    assert read_record(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["0123456789abcdef.json"]


def test_equal_record_is_not_written_again(tmp_path):
    write_record(tmp_path, RECORD)
    path = record_path(tmp_path, RECORD.recipe)
    os.utime(path, (1, 1))
    write_record(tmp_path, RECORD)
    assert path.stat().st_mtime == 1


def test_newest_place_of_a_file_counts(tmp_path):
    write_record(tmp_path, RECORD)
    moved = dataclasses.replace(RECORD, files={"cam.trained": "/near.pth"})
    write_record(tmp_path, moved)
    assert read_record(record_path(tmp_path, RECORD.recipe)) == moved


def test_missing_record(tmp_path):
    with pytest.raises(InputError, match=r"x\.json: no such recipe; a dry run"):
        read_record(tmp_path / "x.json")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "{}", '{"parents": 1}', '{"parents": [1]}']
)
def test_what_is_no_record(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.json: not a recipe of this version .*dry run writes it anew"):
        read_record(path)


def test_folder_is_no_record(tmp_path):
    with pytest.raises(InputError, match="not a recipe"):
        read_record(tmp_path)


def test_key_of_a_newer_version(tmp_path):
    write_record(tmp_path, RECORD)
    path = record_path(tmp_path, RECORD.recipe)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"colour": "red"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"not a recipe of this version .*colour"):
        read_record(path)


def test_ancestors_come_before_what_is_made_of_them(tiny_config, tmp_path):
    plan = prepare(tiny_config).plan
    results = tmp_path / "results"
    found = ancestors(plan.targets[0].record, results)
    assert {record.recipe for record in found} == {artifact.recipe for artifact in plan.artifacts[:-1]}
    seen: set[str] = set()
    for record in found:
        assert {parent.recipe for parent in record.parents} <= seen
        seen.add(record.recipe)
    assert ancestors(plan.of("train_cam")[0].record, results) == []


def test_threads_of_a_training():
    spec = {"config": {"deeplab.train": {"threads": 3}, "seed": 0}}
    assert dataclasses.replace(RECORD, stage="train_deeplab", spec=spec).training_threads == 3
