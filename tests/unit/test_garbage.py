"""What `gc` removes, and what it must leave alone."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest
import yaml

from irnet_pipe.cli.main import main
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.recipes import record_path
from irnet_pipe.workflow import PlannedRun, plan_for, prepare, prepare_tables
from table_scores import with_tables

LONG_AGO = time.time() - 2 * 24 * 3600
OTHER = {"random_walk": {"beta": 4}}
THIRD = {"relations": {"fg_threshold": 0.5}}


def make(values: dict) -> PlannedRun:
    """A run with stand-ins for all that it makes."""
    return make_stand_ins(prepare(parse_config(values)))


def make_stand_ins(run: PlannedRun) -> PlannedRun:
    """Stand-ins for artifacts, what jobs tell about themselves and what trainers leave."""
    for artifact in run.plan.artifacts:
        name = f"{artifact.stage}/{artifact.unit}.{artifact.recipe}"
        paths = [f"logs/{name}.log", f"benchmarks/{name}.tsv", f"events/{name}.jsonl", f"facts/{name}.json"]
        if artifact.stage == "publish":
            paths = [f"logs/publish/{artifact.recipe}.log", f"benchmarks/publish/{artifact.recipe}.tsv"]
        else:
            paths.append(artifact.path)
        if artifact.stage.startswith("train_"):
            work = f"work/{artifact.stage}/{artifact.recipe}"
            paths += [f"{work}/lock", f"{work}/checkpoint-000000003.pth"]
        for path in paths:
            (run.results / path).parent.mkdir(parents=True, exist_ok=True)
            (run.results / path).write_text("x" * 100)
    return run


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def recipes(*runs: PlannedRun) -> set[str]:
    return {artifact.recipe for run in runs for artifact in run.plan.artifacts}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    """The working folder of runs, where snakemake would keep its lock."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gc(tiny, tmp_path, capsys):
    """Run `gc`, each set of changes to the tiny config a run to be kept; returns exit code and output."""

    def run(*changes: dict, options: tuple[str, ...] = ("--yes",)) -> tuple[int, str, str]:
        arguments = ["gc", *options]
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
        for number, change in enumerate(changes):
            path = tmp_path / f"{number}.yaml"
            path.write_text(yaml.safe_dump(change), encoding="utf-8")
            arguments += ["--config", "base.yaml", path.name]
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_all_that_is_reached_from_two_configs_stays(tiny, gc):
    kept = make(tiny), make(merge(tiny, OTHER))
    before = files(kept[0].results)
    make(merge(tiny, THIRD))
    assert files(kept[0].results) > before
    code, out, _ = gc({}, OTHER)
    assert code == 0
    assert files(kept[0].results) == before
    assert "kept: all that these runs reach: tiny, tiny" in out
    assert "removed: " in out.splitlines()[-1]


def test_everything_else_goes(tiny, gc):
    kept = make(tiny)
    before = files(kept.results)
    third = make(merge(tiny, THIRD | {"dataset": tiny["dataset"] | {"label": "train.txt"}}))
    gc({})
    assert files(kept.results) == before
    gone = recipes(third) - recipes(kept)
    assert not [path for path in kept.results.rglob("*") if any(recipe in path.name for recipe in gone)]
    assert not (kept.results / "index" / third.index.truth.digest).exists()


def test_what_tables_reach_stays_while_the_config_asks_for_them(tiny, gc, tmp_path):
    values = with_tables(tiny, tmp_path, rows=["maskrcnn_boundary", "semantic_cam"])
    kept = make(tiny)
    before = files(kept.results)
    make_stand_ins(prepare_tables(parse_config(values)))
    both = files(kept.results)
    assert both > before
    gc({key: values[key] for key in ("tables", "maskrcnn")})
    assert files(kept.results) == both
    gc({})
    assert files(kept.results) == before


def test_lists_with_sizes_and_removes_nothing_by_itself(tiny, gc):
    kept = make(tiny)
    other = make(merge(tiny, OTHER))
    before = files(kept.results)
    code, out, _ = gc({}, options=())
    assert code == 0
    assert files(kept.results) == before
    *_, total = out.splitlines()
    listed = {line.split("  ")[-1] for line in out.splitlines()[1:-1]}
    for artifact in other.plan.of("propagate"):
        assert str(other.results / artifact.path) in listed
        assert str(record_path(other.results, artifact.recipe)) in listed
    assert f"to be removed by --yes: {len(listed)} items, " in total
    assert not any(recipe in out for recipe in recipes(kept))


def test_two_files_of_one_run_are_one_config(tiny, gc):
    """Files after one --config override each other: the first is no run of its own."""
    run, other = make(tiny), make(merge(tiny, OTHER))
    gc(OTHER)
    assert not any((run.results / artifact.path).exists() for artifact in run.plan.of("propagate"))
    assert all((run.results / artifact.path).exists() for artifact in other.plan.of("propagate"))


def test_what_the_workflow_has_not_named_stays(tiny, gc):
    run = make(tiny)
    mine = [
        run.results / "propagate" / "notes.txt",
        run.results / "propagate" / f"all.{'a' * 16}.bak",
        run.results / "my folder" / f"all.{'a' * 16}.h5",
        run.results / "index" / "my list.json",
        run.results / "logs" / "propagate" / "notes.log",
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    gc({})
    assert all(path.exists() for path in mine)


def test_links_are_not_followed(tiny, gc, tmp_path):
    run = make(tiny)
    outside = tmp_path / "outside"
    outside.mkdir()
    files_outside = [outside / f"all.{'a' * 16}.pth", outside / f"{'b' * 16}.json"]
    for path in files_outside:
        path.touch()
    link = run.results / "train_cam" / f"all.{'c' * 16}.pth"
    link.symlink_to(files_outside[0])
    (run.results / "index" / ("d" * 16)).symlink_to(outside)
    (run.results / "report").rename(tmp_path / "report")
    (run.results / "report").symlink_to(tmp_path / "report")
    page = tmp_path / "report" / f"all.{'e' * 16}.html"
    page.touch()
    gc({})
    assert all(path.exists() for path in [*files_outside, link, page])


def test_temporary_files_of_running_writers_stay(tiny, gc):
    run = make(tiny)
    work = run.results / "work" / "train_cam" / run.plan.of("train_cam")[0].recipe
    names = {
        run.results / "propagate" / f".label-00-of-02.{'a' * 16}.h5.41.tmp",
        run.results / "recipes" / f".{'a' * 16}.json.42",
        work / ".checkpoint-000000009.pth.43.tmp",
    }
    for path in names:
        path.touch()
    gc({})
    assert all(path.exists() for path in names)
    for path in names:
        os.utime(path, (LONG_AGO, LONG_AGO))
    gc({})
    assert not any(path.exists() for path in names)


def test_a_held_lock_refuses(tiny, gc):
    run = make(tiny)
    make(merge(tiny, OTHER))
    before = files(run.results)
    lock = next((run.results / "work" / "train_cam").glob("*/lock"))
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for options in (("--yes",), ("--yes", "--damaged")):
            code, out, err = gc({}, options=options)
            assert (code, out) == (2, "")
            assert f"{lock}: a job works on this artifact, nothing is removed" in err
        assert gc({}, options=())[0] == 0, "looking is always possible"
    assert files(run.results) == before
    assert gc({})[0] == 0
    assert files(run.results) < before


def test_a_lock_of_snakemake_refuses(tiny, gc, tmp_path):
    run = make(tiny)
    make(merge(tiny, OTHER))
    before = files(run.results)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    code, _, err = gc({})
    assert code == 2
    assert "snakemake runs in this folder, nothing is removed" in err and "--unlock" in err
    assert files(run.results) == before
    (locks / "0.input.lock").unlink()
    assert gc({})[0] == 0


def test_configs_of_several_results_folders_are_refused(gc, tmp_path):
    code, _, err = gc({}, {"runtime": {"results": str(tmp_path / "elsewhere")}})
    assert code == 2
    assert "several results folders" in err


def test_facts_about_photos_that_no_run_reads_are_forgotten(tiny, gc, photo_set):
    run = make(merge(tiny, {"dataset": {"label": "train.txt", "evaluate": None}}))
    make(tiny)
    path = run.results / "index" / "digests.json"

    def photos() -> set[str]:
        known = json.loads(path.read_text(encoding="utf-8"))["kinds"]["photos"]
        return {Path(name).relative_to((photo_set / "images").resolve()).as_posix() for name in known}

    everything = photos()
    small = {"dataset": {"label": "train.txt", "evaluate": None}}
    assert "files that none of the runs reads" in gc(small, options=())[1]
    assert photos() == everything
    gc(small)
    assert photos() == {f"{entry.image_id}.png" for entry in run.index.train} < everything
    assert plan_for(parse_config(merge(tiny, small))).plan.targets[0].recipe == run.plan.targets[0].recipe


def test_for_programs(tiny, gc):
    make(tiny)
    other = make(merge(tiny, OTHER))
    told = json.loads(gc({}, options=("--json",))[1])
    assert told["removed"] is False
    paths = [Path(item["path"]) for item in told["items"]]
    assert {item["kind"] for item in told["items"]} >= {"artifact", "record"}
    assert [item["bytes"] for item in told["items"]] == [path.stat().st_size for path in paths]
    assert json.loads(gc({}, options=("--json", "--yes"))[1]) == told | {"removed": True}
    assert other.results in paths[0].parents and not any(path.exists() for path in paths)
