"""HDF5 files that point elsewhere: nothing outside the artifact is ever read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, write_artifact
from irnet_pipe.errors import ArtifactError
from irnet_pipe.recipes import Record

SECRET = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.fixture
def path(tmp_path) -> Path:
    """An artifact with one image; beside it lies a file that it must not read."""
    record = Record("0" * 16, "infer_cam", 1, "all", "", "x.h5", {}, (), (), {})
    with write_artifact(tmp_path / "x.h5", record) as writer:
        writer.add("cat", ImageSize(8, 8, 8, 8), {"map": np.zeros((2, 3), np.uint8)})
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images/cat/map"] = SECRET
        for name in ("height", "width", "working_height", "working_width"):
            file[f"index/{name}"] = [8]
        file["index/image_id"] = ["cat"]
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    return tmp_path / "x.h5"


def external_link(group: h5py.Group, name: str, target: str) -> None:
    group[name] = h5py.ExternalLink("secret.h5", target)


def soft_link(group: h5py.Group, name: str, target: str) -> None:
    """One that leads out by way of an external link."""
    group.file["door"] = h5py.ExternalLink("secret.h5", target)
    group[name] = h5py.SoftLink("/door")


def external_storage(group: h5py.Group, name: str, target: str) -> None:
    group.create_dataset(name, (2, 3), "u1", external=[("secret.bin", 0, 6)])


def virtual(group: h5py.Group, name: str, target: str) -> None:
    layout = h5py.VirtualLayout((2, 3), "u1")
    layout[:] = h5py.VirtualSource("secret.h5", "images/cat/map", shape=(2, 3))
    group.create_virtual_dataset(name, layout)


def replace(path: Path, key: str, way: Callable[[h5py.Group, str, str], None]) -> None:
    with h5py.File(path, "r+") as file:
        parent, _, name = f"/{key}".rpartition("/")
        group = file[parent or "/"]
        del group[name]
        way(group, name, key)


@pytest.mark.parametrize(
    ("key", "way"),
    [
        *(
            (key, way)
            for key in ("images/cat/map", "images/cat", "images")
            for way in (external_link, soft_link)
        ),
        ("images/cat/map", external_storage),
        ("images/cat/map", virtual),
    ],
)
def test_arrays_from_outside_are_refused(path, monkeypatch, key, way):
    monkeypatch.chdir(path.parent)
    replace(path, key, way)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(file["images/cat/map"], SECRET)  # h5py would read it
    with (
        ArtifactReader(path, kind="cam") as reader,
        pytest.raises(ArtifactError, match=r"x\.h5: images/cat/map is not stored in this file .*; delete"),
    ):
        reader.read("cat", "map")


@pytest.mark.parametrize("key", ["images/cat", "images"])
@pytest.mark.parametrize("way", [external_link, soft_link])
def test_names_from_outside_are_refused(path, key, way):
    replace(path, key, way)
    with (
        ArtifactReader(path, kind="cam") as reader,
        pytest.raises(ArtifactError, match=r"x\.h5: images/cat is not stored in this file"),
    ):
        reader.names("cat")


@pytest.mark.parametrize("key", ["index", "index/height", "index/image_id"])
@pytest.mark.parametrize("way", [external_link, soft_link])
def test_index_from_outside_is_refused(path, key, way):
    replace(path, key, way)
    with pytest.raises(ArtifactError, match=r"x\.h5: index/\w+ is not stored in this file"):
        ArtifactReader(path, kind="cam")
