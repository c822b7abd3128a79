"""Fixtures of the tests that start a real Slurm."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tiny_project", "cluster_project")

from cluster_project import ClusterProject  # noqa: E402
from one_node import OneNode, why_not  # noqa: E402

REQUIRED = "IRNET_PIPE_SLURM"
"""Environment variable under which a Slurm that cannot be started is a failure."""


@pytest.fixture(scope="session")
def daemons() -> Iterator[OneNode]:
    reason = why_not()
    if find_spec("snakemake_executor_plugin_slurm") is None:
        reason = "snakemake-executor-plugin-slurm not installed (pip install -e '.[slurm]')"
    if reason is not None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"no Slurm, though {REQUIRED} is set: {reason}")
        pytest.skip(f"no Slurm: {reason}")
    folder = Path(
        tempfile.mkdtemp(prefix="slurm-")
    )  # short: the name of munge's socket has 107 bytes at most
    node = OneNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder)


@pytest.fixture
def slurm(daemons) -> Iterator[OneNode]:
    """A node that is up and idle."""
    yield daemons
    daemons.release()
    daemons.cancel_all()


@pytest.fixture
def project(slurm, tmp_path, photo_set, tiny) -> Iterator[ClusterProject]:
    """One shard of the training images, one of the others; one variant."""
    folder = tmp_path / "project"
    folder.mkdir()
    tiny["export"]["variants"] = ["full"]
    tiny["shards"]["n"] = 1
    project = ClusterProject(folder, photo_set, tiny)
    yield project
    project.kill()


@pytest.fixture
def long_training(project) -> ClusterProject:
    """A training of 200 steps, each of a second until it is told to speed up; each epoch leaves a checkpoint."""
    project.values["cam"]["train"]["epochs"] = 100
    project.slow_down()
    return project
