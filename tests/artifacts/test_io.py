"""HDF5 artifacts: round trip, atomic writing, and what readers refuse."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.artifacts.io import (
    ArtifactReader,
    ArtifactWriter,
    ImageSize,
    ShardSet,
    atomic_path,
    write_artifact,
)
from irnet_pipe.artifacts.json_files import read_json, write_json
from irnet_pipe.errors import ArtifactError
from irnet_pipe.recipes import Parent, Record

SIZE = ImageSize(48, 64, 24, 32)
IDS = ["%", ".hidden", "a b", "cat", "cat/cam", "dir/x.y", "ä/ß", "猫"]
ARRAYS = {
    "plane": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "stack": np.linspace(0, 1, 24, dtype=np.float16).reshape(2, 3, 4),
    "row": np.array([3, 1], dtype=np.int32),
    "empty": np.zeros((0, 4, 5), dtype=np.float32),
}
ANY_ID = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@pytest.fixture
def record() -> Record:
    return Record(
        recipe="0123456789abcdef",
        stage="infer_cam",
        version=1,
        unit="train-00-of-02",
        label="infer_cam train-00-of-02",
        path="infer_cam/train-00-of-02.0123456789abcdef.h5",
        spec={"config": {"cam.infer": {"scales": [1.0]}}, "files": {}, "list": "ä"},
        parents=(Parent("train_cam", "all", "f" * 16, f"train_cam/all.{'f' * 16}.pth"),),
        images=(),
        files={},
    )


def write(path: Path, record: Record, image_ids: list[str] = IDS) -> Path:
    with write_artifact(path, record) as writer:
        for image_id in image_ids:
            writer.add(image_id, SIZE, ARRAYS, {"stride": 16})
    return path


@pytest.fixture
def path(tmp_path, record) -> Path:
    return write(tmp_path / record.path, record)


def test_round_trip_of_any_image_id(path, record):
    with ArtifactReader(path, kind="cam") as reader:
        assert reader.image_ids == IDS
        assert reader.spec == record.spec
        assert reader.attributes["complete"] == 1
        for image_id in IDS:
            assert reader.size(image_id) == SIZE
            assert reader.names(image_id) == list(ARRAYS)
            for name, array in ARRAYS.items():
                found = reader.read(image_id, name)
                assert found.dtype == array.dtype
                np.testing.assert_array_equal(found, array)


@given(st.sets(ANY_ID, min_size=1, max_size=5))
@settings(deadline=None, max_examples=25)
def test_image_ids_never_collide(tmp_path_factory, image_ids):
    record = Record("a" * 16, "infer_cam", 1, "all", "", "", {}, (), (), {})
    path = tmp_path_factory.mktemp("ids") / "x.h5"
    with write_artifact(path, record) as writer:
        for number, image_id in enumerate(sorted(image_ids)):
            writer.add(image_id, SIZE, {"number": np.array([number])})
    with ArtifactReader(path, kind="cam") as reader:
        assert reader.image_ids == sorted(image_ids)
        for number, image_id in enumerate(sorted(image_ids)):
            assert reader.read(image_id, "number") == number


def test_equal_content_gives_equal_bytes(path, record, tmp_path):
    assert write(tmp_path / "another name", record).read_bytes() == path.read_bytes()


def test_layout(path):
    """The layout that docs describe: one row per image, planes as chunks, checksums."""
    with h5py.File(path, "r") as file:
        assert list(file) == ["images", "index"]
        assert list(file["index"]) == ["image_id", "height", "width", "working_height", "working_width"]
        stack = file["images/cat%2Fcam/stack"]
        assert stack.chunks == (1, 3, 4) and stack.fletcher32 and stack.compression == "gzip"
        assert file["images/cat/empty"].chunks is None
        assert file["images/cat"].attrs["stride"] == 16
        assert list(file.attrs)[-1] == "complete"


def test_artifact_without_image(tmp_path, record):
    with ArtifactReader(write(tmp_path / "x.h5", record, []), kind="cam") as reader:
        assert reader.image_ids == []


def test_images_out_of_order(tmp_path, record):
    with pytest.raises(ValueError, match=r"'a' comes after 'b'; add images in order"):
        write(tmp_path / "x.h5", record, ["b", "a"])
    with pytest.raises(ValueError, match="in order"):
        write(tmp_path / "x.h5", record, ["a", "a"])
    assert not list(tmp_path.iterdir())


class Crash(BaseException):
    """What no code expects."""


@pytest.mark.parametrize("survived", range(len(IDS)))
@pytest.mark.parametrize("old", [None, b"an older file"])
def test_crash_while_images_are_written(tmp_path, record, survived, old):
    path = tmp_path / "x.h5"
    if old:
        path.write_bytes(old)
    with pytest.raises(Crash), write_artifact(path, record) as writer:
        for image_id in IDS[:survived]:
            writer.add(image_id, SIZE, ARRAYS)
        raise Crash
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [old] * bool(old)


@pytest.mark.parametrize("point", ["finish", "fsync", "replace", "check", "array"])
def test_crash_at_other_points(tmp_path, record, monkeypatch, point):
    def crash(*_: object, **__: object) -> None:
        raise Crash

    places = {
        "finish": (ArtifactWriter, "finish"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
        "check": (ArtifactReader, "_check"),
        "array": (h5py.Group, "create_dataset"),
    }
    monkeypatch.setattr(*places[point], crash)
    with pytest.raises(Crash):
        write(tmp_path / "x.h5", record)
    assert not list(tmp_path.iterdir())


def test_disk_that_is_full(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("half")
    assert not list(tmp_path.iterdir())


def refusal(path: Path, kind: str = "cam") -> str:
    with pytest.raises(ArtifactError) as caught:
        ArtifactReader(path, kind=kind)
    (message,) = caught.value.problems
    assert message.startswith(f"{path}: ")
    return message


def test_refuses_a_missing_file(tmp_path):
    assert "missing; run snakemake" in refusal(tmp_path / "x.h5")


def test_refuses_another_kind(path):
    assert "holds kind 'cam', expected 'masks'; give another file" in refusal(path, "masks")


def test_refuses_what_is_no_artifact(tmp_path):
    (tmp_path / "text.h5").write_text("not HDF5")
    assert "damaged" in refusal(tmp_path / "text.h5")
    (tmp_path / "nothing.h5").write_bytes(b"")
    assert "damaged" in refusal(tmp_path / "nothing.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1
    assert "no complete artifact" in refusal(tmp_path / "other.h5")


@pytest.mark.parametrize("key", ["format-version", "kind-version"])
def test_refuses_a_newer_version(path, key):
    with h5py.File(path, "r+") as file:
        file.attrs[key] = 2
    assert f"{key} 2 is newer than 1" in refusal(path)
    assert "update irnet_pipe" in refusal(path)


def test_another_kind_is_told_before_its_version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["kind-version"] = 2
    assert "holds kind 'cam'" in refusal(path, "masks")


def test_refuses_an_incomplete_artifact(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]
    assert "no complete artifact" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.999])
def test_refuses_a_truncated_file(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged" in refusal(path)


def test_flipped_bits_never_pass_as_data(tmp_path, record):
    """A damaged byte is refused, or lies where no data is."""
    path = write(tmp_path / "x.h5", record, ["a"])
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(content), 150, replace=False):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            with ArtifactReader(path, kind="cam") as reader:
                for name, array in ARRAYS.items():
                    np.testing.assert_array_equal(reader.read("a", name), array)
        except ArtifactError:
            refused += 1
    assert refused > 10


def test_missing_image_and_array(path):
    with ArtifactReader(path, kind="cam") as reader:
        with pytest.raises(ArtifactError, match=r"has no 'map' of image 'a b' \(images/a b/map\); delete"):
            reader.read("a b", "map")
        with pytest.raises(ArtifactError, match=r"has no image 'no/such'; delete"):
            reader.size("no/such")


def test_shards_read_as_one(tmp_path, record):
    odd, even = (write(tmp_path / f"{i}.h5", record, IDS[i::2]) for i in (1, 0))
    with ShardSet([odd, even], kind="cam") as shards:
        assert shards.image_ids == IDS
        assert "猫" in shards and "hund" not in shards
        for image_id in IDS:
            assert shards.size(image_id) == SIZE
            assert shards.names(image_id) == list(ARRAYS)
            np.testing.assert_array_equal(shards.read(image_id, "plane"), ARRAYS["plane"])
        for ask in (shards.size, shards.names, lambda image_id: shards.read(image_id, "plane")):
            with pytest.raises(ArtifactError, match=r"1\.h5, .*0\.h5: has no image 'hund'"):
                ask("hund")


def test_readers_do_not_lock(path):
    with ArtifactReader(path, kind="cam") as one, ArtifactReader(path, kind="cam") as other:
        assert one.image_ids == other.image_ids


# --- JSON artifacts


@pytest.fixture
def scores(tmp_path, record) -> Path:
    path = tmp_path / "evaluate_masks" / "x.json"
    content = {"images": 3, "images_with_predicted_classes": 0, "variant": "cam", "figures": {}, "name": "ä"}
    write_json(path, dataclasses.replace(record, stage="evaluate_masks"), content)
    return path


def test_json_round_trip(scores, record):
    content = read_json(scores, kind="scores")
    assert (content["images"], content["name"], content["recipe"]) == (3, "ä", record.recipe)


def test_json_refuses_nan_and_leaves_no_file(tmp_path, record):
    with pytest.raises(ValueError, match="JSON"):
        write_json(
            tmp_path / "x.json", dataclasses.replace(record, stage="evaluate_masks"), {"a": float("nan")}
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("before", "after", "pattern"),
    [
        ('"scores"', '"calibration"', "holds kind 'calibration', expected 'scores'"),
        ('"kind-version": 3', '"kind-version": 4', "kind-version 4 is newer than 3.*update irnet_pipe"),
        ('"format-version": 1', '"format-version": 2', "format-version 2 is newer than 1"),
        ("irnet_pipe.artifact", "other", "no artifact, expected format"),
        ('"images": 3,', '"images"', "damaged"),
        ('"kind-version": 3', '"kind-versioo": 3', "damaged .kind-version is None"),
        ('"kind-version": 3', '"kind-version": "3"', "damaged .kind-version is '3'"),
        ('"figures"', '"figuree"', "damaged .its digest"),
        ('"images": 3', '"images": 4', "damaged .its digest"),
    ],
)
def test_json_refusals(scores, before, after, pattern):
    scores.write_text(scores.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"x\.json: {pattern}"):
        read_json(scores, kind="scores")


def test_json_of_before_digests(scores):
    content = json.loads(scores.read_text(encoding="utf-8"))
    del content["digest"]
    scores.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError, match="its digest is not that of its content"):
        read_json(scores, kind="scores")
    scores.write_text(json.dumps(content | {"kind-version": 1}), encoding="utf-8")
    assert read_json(scores, kind="scores")["images"] == 3
    del content["figures"]
    scores.write_text(json.dumps(content | {"kind-version": 1}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="has no 'figures'"):
        read_json(scores, kind="scores")


def test_json_missing(tmp_path):
    with pytest.raises(ArtifactError, match=r"x\.json: artifact is missing; run snakemake"):
        read_json(tmp_path / "x.json", kind="scores")


def test_json_with_a_flipped_bit_is_refused(scores, tmp_path):
    """Whatever the byte; white space and the case of an exponent aside, which change no value."""
    content, value = scores.read_bytes(), json.loads(scores.read_text(encoding="utf-8"))
    for place in range(len(content)):
        path = tmp_path / f"{place}.json"
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            assert read_json(path, kind="scores") == value
        except ArtifactError:
            continue
