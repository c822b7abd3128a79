"""Runs through profiles/slurm on a real Slurm of one node, undisturbed and disturbed."""

from __future__ import annotations

import pytest
from tiny_project import Project

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def test_queued_jobs_finish_as_planned_with_the_bytes_of_a_local_run(
    slurm, project, tmp_path, photo_set, make_tiny_values
):
    """While jobs wait, the config is edited, a training image appended, and a dry run made."""
    (tmp_path / "local").mkdir()
    local = Project(tmp_path / "local", photo_set, make_tiny_values(photo_set, tmp_path))
    local.values["export"]["variants"] = ["full"]
    local.values["shards"]["n"] = 1
    local.run()

    slurm.hold()
    project.submit()
    project.wait_for(lambda: "PENDING" in slurm.jobs().values(), "a job waits in the queue")
    project.values["random_walk"] = {"beta": 4}
    project.values["seed"] = 1
    images = project.photos / "images"
    (images / "appended.png").write_bytes((images / "beta.png").read_bytes())
    for name, line in (("labels.csv", '"appended",disc\n'), ("train.txt", "appended\n")):
        with (project.photos / name).open("a", encoding="utf-8") as file:
            file.write(line)
    project.values["dataset"]["evaluate"] = None  # what was appended has no ground truth
    dry = project.snakemake("--dry-run", "--nolock")
    assert project.jobs(dry)["train_cam"] == 1, dry.stderr
    assert set(slurm.jobs().values()) == {"PENDING"}
    slurm.release()
    project.finish()

    expected, found = local.artifacts(), project.artifacts()
    assert sorted(found) == sorted(expected)
    assert [path for path in found if found[path] != expected[path]] == []
    assert project.published() == local.published()
    sharded, single = 7, 6
    assert len(project.job_ids) == sharded + single, "both shards of a stage are one job"


def test_a_trainer_goes_on_after_its_time_limit(slurm, long_training):
    project = long_training
    project.submit("--until", "train_cam")
    project.wait_for(lambda: project.checkpoints("train_cam"), "a checkpoint")
    # The shortest time limit is a minute. The end is moved instead, so that the signal is due at once.
    slurm.command("scontrol", "update", f"JobId={project.job_ids[0]}", "EndTime=now+100")
    project.wait_for(lambda: "SIGTERM after step" in project.said, "the trainer is told to stop")
    project.speed_up()
    project.finish()
    assert len(project.made("train_cam")) == 1
    assert len(project.job_ids) >= 2
    assert "going on from step" in project.log_of("train_cam")


def test_slurmd_killed_and_started_again(slurm, long_training):
    project = long_training
    project.submit("--until", "infer_cam")
    project.wait_for(lambda: project.checkpoints("train_cam"), "a checkpoint")
    slurm.kill_slurmd()
    project.speed_up()
    project.wait_for(lambda: project.made("train_cam"), "the training ends by itself")
    slurm.start_slurmd()
    project.finish()
    assert len(project.made("infer_cam")) == 2


def test_snakemake_killed_and_started_again(slurm, long_training):
    """The job of the first run goes on; its twin waits for the lock of their work folder."""
    project = long_training
    # The node has one GPU and eight cores: both jobs find room.
    arguments = ("--until", "train_cam", "--set-resources", "train_cam:gpu=0", "--set-threads", "train_cam=2")
    project.submit(*arguments)
    project.wait_for(lambda: project.checkpoints("train_cam"), "a checkpoint")
    project.kill()
    assert project.snakemake("--unlock").returncode == 0
    project.submit(*arguments)
    waiting = "another process works on this artifact; waiting until it ends"
    project.wait_for(lambda: waiting in project.log_of("train_cam"), "the twin waits")
    assert not project.made("train_cam")
    assert sorted(slurm.jobs().values()) == ["RUNNING", "RUNNING"]
    project.speed_up()
    project.finish()
    assert len(project.made("train_cam")) == 1
