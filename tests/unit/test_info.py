"""What `info` tells about one artifact, and about two."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from irnet_pipe.artifacts.weights import read_weights, write_weights
from irnet_pipe.cli.main import main
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.recipes import record_path
from irnet_pipe.workflow import PlannedRun, prepare


def run_of(values: dict) -> PlannedRun:
    return prepare(parse_config(values))


@pytest.fixture
def info(capsys):
    def run(*paths: Path, code: int = 0) -> str:
        assert main(["info", *map(str, paths)]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return run


def target(run: PlannedRun) -> Path:
    return record_path(run.results, run.plan.targets[0].recipe)


def write_cam(run: PlannedRun, source: Path, **changes: object) -> Path:
    """Weights as the trainer of a run would write them."""
    (artifact,) = run.plan.of("train_cam")
    weights = read_weights(source, kind="cam")
    header = weights.header | {"recipe": artifact.recipe, "spec": artifact.record.spec} | changes
    path = run.results / artifact.path
    write_weights(path, header=header, state_dict=weights.state_dict, history=weights.history)
    return path


def rows(text: str) -> dict[str, str]:
    return {line.split()[0]: line.split(maxsplit=1)[-1] for line in text.splitlines()}


def test_artifact_with_its_record(tiny, trained, info):
    path = write_cam(run_of(tiny), trained.cam)
    told = rows(info(path))
    assert told["stage"] == "train_cam"
    assert told["cam.train.epochs"] == "1"
    assert told["classes"] == '["box", "disc"]'
    assert told["kind"] == "cam"
    assert "MiB" in told[f"{path}:"]
    assert "file and record agree" in info(path)


@pytest.mark.parametrize("changes", [{"recipe": "f" * 16}, {"spec": {"config": {}, "files": {}}}])
def test_file_that_disagrees_with_its_record(tiny, trained, info, changes):
    path = write_cam(run_of(tiny), trained.cam, **changes)
    assert f"file and record DISAGREE: {next(iter(changes))}: " in info(path)


def test_adopted_weights_state_the_recipe_of_their_source(tiny, trained, info):
    run = run_of(merge(tiny, {"cam": {"trained": str(trained.cam)}}))
    told = info(write_cam(run, trained.cam, recipe="f" * 16))
    assert f"taken from {trained.cam}" in told
    assert "DISAGREE" not in told


def test_parents_that_are_there_and_not(tiny, info):
    run = run_of(tiny)
    artifact = run.plan.of("propagate")[0]
    first, second, *_ = artifact.parents
    path = run.results / first.path
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(2048))
    told = rows(info(run.results / artifact.path))
    assert told[f"{run.results / artifact.path}:"] == "not there"
    assert told[first.path] == "2.0 KiB"
    assert told[second.path] == "not there"


def test_file_without_record(tiny, trained, info):
    told = info(trained.cam)
    assert "no record of it" in told
    assert rows(told)["backbone"] == "resnet18"


def test_record_stands_for_its_artifact(tiny, info):
    run = run_of(tiny)
    artifact = run.plan.of("propagate")[0]
    path = record_path(run.results, artifact.recipe)
    assert info(path) == info(run.results / artifact.path)


def test_neither_file_nor_record(tmp_path, info):
    path = tmp_path / "results" / "propagate" / f"all.{'a' * 16}.h5"
    assert info(path, code=2).startswith(f"error: {path}: no such file, and no record of it")


def test_root_of_a_difference(tiny, info):
    one, two = run_of(tiny), run_of(merge(tiny, {"cam": {"train": {"epochs": 8}}}))
    assert info(target(one), target(two)) == "train_cam: cam.train.epochs 1 → 8\n"


def test_several_roots_in_the_order_of_the_pipeline(tiny, info):
    changes = {"random_walk": {"beta": 4}, "relations": {"fg_threshold": 0.5}, "run": "other"}
    lines = info(target(run_of(tiny)), target(run_of(merge(tiny, changes)))).splitlines()
    assert lines == [
        "mine_relations: relations.fg_threshold 0.3 → 0.5 (2 artifacts)",
        "propagate: random_walk.beta 10.0 → 4.0 (4 artifacts)",
        "publish: run tiny → other",
    ]


def test_images_that_differ(tiny, photo_set, tmp_path, info):
    one = run_of(tiny)
    photos = shutil.copytree(photo_set, tmp_path / "photos")
    path = photos / "train.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("gamma\n", ""), encoding="utf-8")
    two = run_of(merge(tiny, {"dataset": {"root": str(photos)}}))
    lines = info(target(one), target(two)).splitlines()
    assert lines[0] == "train_cam: images: 1 gone"
    assert any(line.startswith("infer_cam: images: ") for line in lines)


def test_other_number_of_shards(tiny, info):
    told = info(target(run_of(tiny)), target(run_of(merge(tiny, {"shards": {"n": 3}}))))
    assert "infer_cam: shards.n 2 → 3" in told
    assert "alone" not in told


def test_unit_of_one_alone(tiny, info):
    small = merge(tiny, {"export": {"variants": ["full"]}})
    told = info(target(run_of(tiny)), target(run_of(small)))
    assert "gather_masks: of the first alone (2 artifacts)\n" in told


def test_parent_whose_record_is_gone(tiny, info):
    one, two = run_of(tiny), run_of(merge(tiny, {"cam": {"train": {"epochs": 8}}}))
    record_path(two.results, two.plan.of("train_cam")[0].recipe).unlink()
    assert "train_cam: differs, but a record is missing" in info(target(one), target(two))


def test_the_same_recipe(tiny, info):
    run = run_of(tiny)
    assert info(target(run), target(run)) == "the same recipe\n"


def test_what_cannot_be_compared(tiny, trained, info):
    run = run_of(tiny)
    assert "no record of it, so nothing can be compared" in info(target(run), trained.cam, code=2)
    other = run.results / run.plan.of("propagate")[0].path
    assert "made by propagate, the other by publish" in info(target(run), other, code=2)


def test_for_programs(tiny, trained, capsys):
    run = run_of(tiny)
    path = write_cam(run, trained.cam)
    (artifact,) = run.plan.of("train_cam")
    assert main(["info", "--json", str(path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["bytes"]) == (str(path), path.stat().st_size)
    assert told["record"]["spec"] == json.loads(json.dumps(artifact.record.spec))
    assert told["states"]["recipe"] == told["record"]["recipe"] == artifact.recipe
    other = run_of(merge(tiny, {"random_walk": {"beta": 4}}))
    pair = [str(record_path(each.results, each.plan.of("propagate")[0].recipe)) for each in (run, other)]
    assert main(["info", "--json", *pair]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipes"] == [Path(path).stem for path in pair]
    assert told["differences"] == [
        {"stage": "propagate", "difference": "random_walk.beta 10.0 → 4.0", "artifacts": [Path(pair[1]).stem]}
    ]
