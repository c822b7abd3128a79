"""Jobs that work in a folder of their node."""

from __future__ import annotations

from importlib import import_module

import pytest

from irnet_pipe.cli.main import main
from irnet_pipe.errors import ArtifactError, InputError
from irnet_pipe.recipes import record_path
from irnet_pipe.runtime.scratch import in_scratch

SHARDED = ("infer_cam", "mine_relations", "infer_irnet", "refine_displacement", "propagate", "export_masks")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "node"
    folder.mkdir()
    monkeypatch.setenv("NODE_FOLDER", str(folder))
    return folder


def run(job) -> None:
    import_module(f"irnet_pipe.stages.{job.record.stage}").run(job)


@pytest.mark.parametrize("stage", SHARDED)
def test_equal_bytes_and_nothing_left(pipeline, tmp_path, scratch, stage):
    job = pipeline.job_in(tmp_path, stage, "full" if stage == "export_masks" else None)
    run(job)
    expected = job.output.read_bytes()
    job.output.unlink()
    with in_scratch(job, "$NODE_FOLDER") as local:
        read = {path for parent in job.record.parents for path in local.parents(parent.stage)}
        assert all(path.is_relative_to(scratch) for path in {*read, local.output})
        run(local)
        assert not job.output.exists()
    assert job.output.read_bytes() == expected
    assert not list(scratch.iterdir())


def test_the_command_line_takes_the_folder(pipeline, tmp_path, scratch):
    job = pipeline.job_in(tmp_path, "propagate")
    recipe = record_path(job.results, job.record.recipe)
    arguments = ["--recipe", recipe, "--output", job.output, "--root", job.root, "--scratch", "$NODE_FOLDER"]
    assert main(["propagate", *map(str, arguments)]) == 0
    assert job.output.exists()
    assert not list(scratch.iterdir())


def test_jobs_of_all_images_are_left_as_they_are(pipeline, tmp_path, scratch):
    job = pipeline.job_in(tmp_path, "calibrate_displacement")
    with in_scratch(job, str(scratch)) as local:
        assert local == job


def test_without_scratch_the_job_is_the_same(pipeline, tmp_path):
    job = pipeline.job_in(tmp_path, "propagate")
    with in_scratch(job, None) as local:
        assert local == job


def test_a_folder_that_is_not_there(pipeline, tmp_path):
    job = pipeline.job_in(tmp_path, "propagate")
    with (
        pytest.raises(
            InputError, match=r"runtime\.scratch: \$NOT_SET: no such folder on .*set it to a folder"
        ),
        in_scratch(job, "$NOT_SET"),
    ):
        pass


def test_a_damaged_input_is_named_where_it_lies(pipeline, tmp_path, scratch):
    job = pipeline.job_in(tmp_path, "propagate")
    path = job.parent("infer_cam")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=f"^{path}: damaged"), in_scratch(job, str(scratch)) as local:
        run(local)
    path.unlink()
    with (
        pytest.raises(ArtifactError, match=f"^{path}: artifact is missing"),
        in_scratch(job, str(scratch)) as local,
    ):
        run(local)
    assert not list(scratch.iterdir())
    assert not job.output.exists()
