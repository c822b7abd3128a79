"""Fixtures of the tests that run snakemake."""

import pytest

pytest.register_assert_rewrite("tiny_project", "processes", "chaos")

from tiny_project import Project  # noqa: E402


@pytest.fixture
def project(tmp_path, photo_set, tiny) -> Project:
    folder = tmp_path / "my project"
    folder.mkdir()
    return Project(folder, photo_set, tiny)
