"""The command line: exit codes, and what is imported when."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import yaml

import irnet_pipe
from irnet_pipe import __version__, errors
from irnet_pipe.cli import stages
from irnet_pipe.cli.main import main
from irnet_pipe.cli.stages import STAGE_VERBS
from irnet_pipe.config import parse_config
from irnet_pipe.data import photo_files
from irnet_pipe.errors import InputError, Interrupted
from irnet_pipe.plan import Artifact
from irnet_pipe.runtime.events import read_events
from irnet_pipe.runtime.job import Job
from irnet_pipe.stage_table import DEVICE_STAGES, STAGES, TRAINERS
from irnet_pipe.workflow import prepare

LIGHT = (
    *("config", "config.documents", "plan", "planner", "index", "recipes", "workflow", "errors"),
    *("cli.main", "export.formats", "bundled_files", "project.doctor"),
    *("failures", "artifact_files", "differences", "status", "status_report", "garbage", "info"),
)
HEAVY = ("torch", "torchvision", "h5py", "numpy", "scipy", "numba")


def imported_by(code: str, *names: str) -> list[str]:
    """Which of the modules are loaded after some code has run in a fresh process."""
    tell = f"import sys, json; print(json.dumps([n for n in {list(names)} if n in sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_modules_of_the_parse_are_light():
    code = "\n".join(f"import irnet_pipe.{name}" for name in LIGHT)
    assert imported_by(code, *HEAVY, "PIL") == []


def test_help_loads_little():
    """Half a second is what a person waits without noticing."""
    code = "from irnet_pipe.cli import main\ntry:\n main.main(['--help'])\nexcept SystemExit:\n print()"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {
        line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")
    }
    assert "irnet_pipe.cli.main" in loaded
    assert not loaded & {*HEAVY, "PIL", "pydantic", "yaml", "snakemake", "shtab"}


def test_devices_are_leased_before_torch_is_there():
    code = "import irnet_pipe.runtime.attempts, irnet_pipe.runtime.job, irnet_pipe.runtime.lease"
    assert imported_by(code, *HEAVY) == []


def test_stages_run_without_snakemake_and_pydantic():
    code = "\n".join(f"import irnet_pipe.stages.{stage}" for stage in STAGE_VERBS)
    code += "\nimport irnet_pipe.cli.main, irnet_pipe.publish, irnet_pipe.artifacts.weights, irnet_pipe.runtime.job"
    assert imported_by(code, "snakemake", "pydantic", "irnet_pipe.config", "irnet_pipe.planner") == []


@pytest.mark.parametrize("verb", ["index_dataset", "status", "gc"])
def test_preparing_a_run_is_light(verb, tiny, tmp_path):
    """All of the main process's work on a data set that it has seen before."""
    prepare(parse_config(tiny))
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny), encoding="utf-8")
    run = f"main([{verb!r}, '--config', {str(path)!r}])"
    code = "import contextlib, io\nfrom irnet_pipe.cli.main import main\n"
    code += f"with contextlib.redirect_stdout(io.StringIO()): {run}"
    assert imported_by(code, *HEAVY) == []


def test_every_stage_has_a_verb_of_its_name():
    assert list(STAGE_VERBS) == [stage for stage in STAGES if stage != "publish"]


@pytest.mark.parametrize(
    "verb",
    [
        *STAGE_VERBS,
        *("index_dataset", "validate", "status", "info", "gc", "evaluate", "export"),
        *("import-weights", "download", "predict", "export-model"),
    ],
)
def test_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert verb in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("arguments", [[], ["infer_cam"], ["infer_cam", "--recipe"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (InputError(["one", "two"]), 2, "error: one\nerror: two\n"),
        (Interrupted("saved at step 3"), 75, "stopped: saved at step 3\n"),
        (
            KeyboardInterrupt(),
            130,
            "stopped: what is finished is kept; the same command again does the rest\n",
        ),
        (MemoryError(), 2, "error: memory ran out; give the job more memory, or run fewer at once\n"),
    ],
)
def test_what_a_job_that_fails_tells(raised, code, told, monkeypatch, capsys):
    monkeypatch.setattr(stages, "_stage", Mock(side_effect=raised))
    assert main(["train_cam", "--recipe", "x", "--output", "y"]) == code
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(
    ("word", "meant"), [("vaildate", "validate"), ("train-cam", "train_cam"), ("GC", "gc")]
)
def test_verb_that_is_misspelt(word, meant, capsys):
    assert main([word, "--config", "x"]) == 2
    assert capsys.readouterr().err == f"error: {word}: no such verb; did you mean {meant}?\n"


def test_verb_that_is_like_none(capsys):
    assert main(["qqq"]) == 2
    assert capsys.readouterr().err == "error: qqq: no such verb; `irnet-pipe --help` lists the verbs\n"


def test_every_exit_code_is_documented():
    codes = {
        value for name, value in vars(errors).items() if name.startswith("EXIT_") and isinstance(value, int)
    }
    assert set(errors.EXIT_CODES) == codes | {0}


def error_of(capsys, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ")
    return captured.err


@pytest.fixture
def write_config(tmp_path):
    def write(values: object) -> str:
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return str(path)

    return write


def test_index_dataset(tiny, write_config, capsys):
    assert main(["index_dataset", "--config", write_config(tiny)]) == 0
    assert capsys.readouterr().out == "5 training images, 8 to be labelled, 2 classes\n"


def test_quiet(tiny, write_config, capsys, monkeypatch):
    """No summary and no progress; errors stay, and JSON that was asked for."""
    monkeypatch.setattr(photo_files, "QUIET_UP_TO", 2)
    path = write_config(tiny)
    assert main(["index_dataset", "--quiet", "--config", path]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["status", "--quiet", "--config", path]) == 1
    assert capsys.readouterr() == ("", "")
    assert main(["status", "--quiet", "--json", "--config", path]) == 1
    assert json.loads(capsys.readouterr().out)["done"] is False
    assert "seed is -1" in error_of(
        capsys, "validate", "--quiet", "--config", write_config(tiny | {"seed": -1})
    )


def test_progress_is_shown_again_after_a_quiet_verb(tiny, write_config, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(photo_files, "QUIET_UP_TO", 2)
    path = write_config(tiny)
    assert main(["index_dataset", "--quiet", "--config", path]) == 0
    (tmp_path / "results" / "index" / "digests.json").unlink()
    assert main(["index_dataset", "--config", path]) == 0
    assert "examining new photos: " in capsys.readouterr().err


def test_validate_for_programs(tiny, write_config, capsys):
    bad = tiny | {"seed": -1, "shards": {"n": 0}}
    assert main(["validate", "--json", "--config", write_config(bad)]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (len(told["problems"]), told["summary"], captured.err) == (2, [], "")
    assert main(["validate", "--json", "--config", write_config(tiny)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["problems"] == [] and "training images: 5, 1 of them without any class" in told["summary"]


def test_characters_that_the_output_does_not_have(tiny, write_config):
    """As in a terminal that is not set to UTF-8."""
    command = [sys.executable, "-m", "irnet_pipe", "export", "--help"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (run.returncode, run.stderr) == (0, "")


def test_device_that_is_not_there(tiny_config, tmp_path, capsys):
    artifact = prepare(tiny_config).plan.of("infer_cam")[0]
    recipe = tmp_path / "results" / "recipes" / f"{artifact.recipe}.json"
    arguments = ("infer_cam", "--recipe", recipe, "--output", tmp_path / "x.h5", "--device", "cuda:99")
    assert "cuda:99" in error_of(capsys, *arguments)


@pytest.fixture
def fake_stage(monkeypatch, tmp_path):
    """Run the verb of a stage whose module only looks around; returns its job and CUDA_VISIBLE_DEVICES."""
    monkeypatch.setenv("IRNET_PIPE_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")

    def run(artifact: Artifact, *options: str) -> tuple[Job, str]:
        found = []

        def look(job: Job) -> None:
            found.append((job, os.environ["CUDA_VISIBLE_DEVICES"]))
            for _ in job.progress(job.images):
                pass

        monkeypatch.setitem(sys.modules, f"irnet_pipe.stages.{artifact.stage}", SimpleNamespace(run=look))
        recipe = tmp_path / "results" / "recipes" / f"{artifact.recipe}.json"
        arguments = [artifact.stage, "--recipe", recipe, "--output", tmp_path / "x", *options]
        assert main([str(argument) for argument in arguments]) == 0
        return found[0]

    return run


def test_stage_with_a_device_leases_one_and_tells(tiny_config, fake_stage, tmp_path):
    artifact = prepare(tiny_config).plan.of("infer_cam")[0]
    job, visible = fake_stage(artifact, "--device", "cuda:1")
    assert (job.device, visible) == ("cuda:0", "GPU-b")
    path = tmp_path / "results" / "events" / "infer_cam" / f"{artifact.unit}.{artifact.recipe}.jsonl"
    assert [event["event"] for event in read_events(path)] == ["started", "leased", "progress", "ended"]
    assert json.loads((tmp_path / "results" / "facts" / f"{path.parent.name}/{path.stem}.json").read_text())


@pytest.mark.parametrize(("stage", "device"), [("propagate", "auto"), ("infer_cam", "cpu")])
def test_stage_without_a_device_leases_none(tiny_config, fake_stage, tmp_path, stage, device):
    _, visible = fake_stage(prepare(tiny_config).plan.of(stage)[0], "--device", device)
    assert visible == "GPU-a,GPU-b"
    assert not (tmp_path / "leases").exists()


def test_stages_with_a_device_are_those_that_use_one():
    package = Path(irnet_pipe.__file__).parent
    using = {
        path.stem
        for path in (package / "stages").glob("*.py")
        if re.search(r"import (autocast, )?use_device|training\.(loop|segmenter) import", path.read_text())
    }
    assert set(DEVICE_STAGES) == using
    rules = "".join(path.read_text() for path in (package.parents[1] / "workflow/rules").glob("*.smk"))
    parts = {part.split(":")[0]: part for part in re.split(r"^rule ", rules, flags=re.MULTILINE)[1:]}
    assert {name for name, part in parts.items() if "gpu=" in part} == using
    assert {name for name, part in parts.items() if "gpu=DEVICES" in part} == set(TRAINERS)


def test_failed_stage_is_told_of(tiny_config, tmp_path, capsys):
    artifact = prepare(tiny_config).plan.of("infer_irnet")[0]
    recipe = tmp_path / "results" / "recipes" / f"{artifact.recipe}.json"
    arguments = ("infer_irnet", "--recipe", recipe, "--output", tmp_path / "x.h5", "--device", "cpu")
    error = error_of(capsys, *arguments)
    (path,) = (tmp_path / "results" / "facts" / "infer_irnet").iterdir()
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert facts["outcome"] == "failed"
    assert error == f"error: {facts['error']}\n"


def test_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "irnet_pipe", "validate", "--config", tmp_path / "no.yaml"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
