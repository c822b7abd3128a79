"""What holds for every stage: test classes that the tests of a stage inherit."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
import torch

from irnet_pipe.artifacts import io
from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.data.image_list import ImageEntry, write_list
from irnet_pipe.data.photo_files import working_size
from irnet_pipe.errors import ArtifactError, InputError
from irnet_pipe.runtime.job import Job

REMEDY = re.compile(r"\b(run snakemake|give|delete it|update irnet_pipe|make it anew|put the photo back)\b")


class Crash(BaseException):
    """Something that no stage expects."""


def missing(path: Path) -> str:
    """Each of these spoils an artifact, and returns a pattern of what the error has to say."""
    path.unlink()
    return "missing|no such file"


def truncated(path: Path) -> str:
    content = path.read_bytes()
    replace(path, content[: len(content) // 2])
    return "damaged"


def flipped(path: Path) -> str:
    """One bit in each array of an HDF5 file, in the largest tensor of a weights file, in the last digit of JSON."""
    content = bytearray(path.read_bytes())
    for place in array_places(path):
        content[place] ^= 1
    replace(path, bytes(content))
    return "damaged"


def array_places(path: Path) -> list[int]:
    """A byte in each array of HDF5, in the largest member of a weights file, or in the last number of JSON."""
    places: list[int] = []
    if path.suffix == ".h5":

        def visit(_: str, node: h5py.Dataset | h5py.Group) -> None:
            if isinstance(node, h5py.Dataset) and node.chunks and node.id.get_num_chunks():
                chunk = node.id.get_chunk_info(0)
                places.append(chunk.byte_offset + chunk.size // 2)

        with h5py.File(path, "r") as file:
            file.visititems(visit)
    elif path.suffix == ".pth":
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda member: member.file_size)
        places.append(largest.header_offset + largest.file_size // 2)
    else:
        places.append([match.start() for match in re.finditer(rb"[0-9]", path.read_bytes())][-1])
    return places


def of_another_kind(path: Path) -> str:
    change_header(path, "kind", {"cam": "irnet"}.get(header(path)["kind"], "cam"))
    kind = header(path)["kind"]
    return rf"kind.*{kind}.*expected|kind.*expected.*{kind}"


def of_a_newer_version(path: Path) -> str:
    change_header(path, "format-version" if path.suffix == ".pth" else "kind-version", 99)
    return "version.*99"


def replace(path: Path, content: bytes) -> None:
    """Write a file anew: it may be a link to one that others read."""
    path.unlink()
    path.write_bytes(content)


def header(path: Path) -> dict[str, Any]:
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            return dict(file.attrs)
    if path.suffix == ".pth":
        return torch.load(path, weights_only=True)["header"]
    return json.loads(path.read_text(encoding="utf-8"))


def change_header(path: Path, key: str, value: object) -> None:
    replace(path, path.read_bytes())
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs[key] = value
    elif path.suffix == ".pth":
        content = torch.load(path, weights_only=True)
        content["header"][key] = value
        torch.save(content, path)
    else:
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**content, key: value}), encoding="utf-8")


def narrowed(job: Job, entries: list[ImageEntry]) -> Job:
    """The job on some images alone."""
    digest = write_list(job.results / "index", entries)
    record = dataclasses.replace(job.record, images=(f"index/{digest}/images.json",))
    return dataclasses.replace(job, record=record)


class StageContract:
    """Holds for every stage but the trainers."""

    stage: ClassVar[str]
    parents: ClassVar[tuple[str, ...]]
    variant: ClassVar[str | None] = None
    opens_photos: ClassVar[bool] = False

    @pytest.fixture
    def job(self, pipeline, tmp_path) -> Job:
        return pipeline.job_in(tmp_path, self.stage, self.variant)

    def run(self, job: Job) -> bytes:
        """Run the stage; returns the artifact."""
        import_module(f"irnet_pipe.stages.{self.stage}").run(job)
        return job.output.read_bytes()

    def check_refusal(self, job: Job, pattern: str) -> None:
        """The stage refuses its input in one line with a remedy, and leaves nothing behind."""
        with pytest.raises(InputError) as caught:
            self.run(job)
        (message,) = caught.value.problems
        assert re.search(pattern, message), message
        assert REMEDY.search(message), message
        assert not job.output.parent.exists() or not list(job.output.parent.iterdir())

    def test_reads_what_the_contract_says(self, job):
        assert {parent.stage for parent in job.record.parents} == set(self.parents)

    def test_equal_bytes_twice(self, job, tmp_path):
        again = dataclasses.replace(job, output=tmp_path / "elsewhere" / "another name")
        assert self.run(job) == self.run(again)

    def test_replaces_nothing_but_its_output(self, job):
        before = {path: path.stat().st_mtime_ns for path in job.results.rglob("*") if path.is_file()}
        self.run(job)
        after = {path: path.stat().st_mtime_ns for path in job.results.rglob("*") if path.is_file()}
        assert after == before | {job.output: after[job.output]}

    @pytest.mark.parametrize("spoil", [missing, truncated, flipped, of_another_kind, of_a_newer_version])
    def test_refuses(self, job, parent, spoil: Callable[[Path], str]):
        path = job.parents(parent)[-1]
        if path.suffix == ".tar" and spoil not in (missing, truncated):
            return  # a tar says nothing of its kind, and has no checksums
        pattern = spoil(path)
        self.check_refusal(job, f"{re.escape(str(path))}.*({pattern})")

    @pytest.mark.parametrize("point", ["fsync", "replace"])
    def test_crash_at_the_end_leaves_no_file(self, job, monkeypatch, point):
        def crash(*_: object) -> None:
            raise Crash

        monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[point], crash)
        with pytest.raises(Crash):
            self.run(job)
        assert not list(job.output.parent.iterdir())

    def test_missing_image_list(self, job):
        if job.record.images:
            missing(job.results / job.record.images[0])
            with pytest.raises(InputError, match=r"images\.json: image list is missing"):
                self.run(job)


class ShardContract(StageContract):
    """Holds for every stage that makes an HDF5 artifact of a shard."""

    negatives_have: ClassVar[dict[str, tuple[int, ...]]] = {}
    """Arrays of an image without labels, and their shapes."""

    def check_arrays(self, reader: ArtifactReader, entry: ImageEntry, job: Job) -> None:
        """Check the arrays of an image that has labels."""
        raise NotImplementedError

    def open(self, job: Job) -> ArtifactReader:
        return ArtifactReader(job.output, kind=KIND_OF_STAGE[self.stage])

    def test_output_validates(self, job):
        self.run(job)
        with self.open(job) as reader:
            assert reader.image_ids == [entry.image_id for entry in job.images]
            assert reader.spec == job.record.spec
            assert reader.attributes["recipe"] == job.record.recipe
            assert json.loads(reader.attributes["parents"]) == [parent.path for parent in job.record.parents]
            for entry in job.images:
                assert reader.sizes[entry.image_id].full == (entry.height, entry.width)
                assert max(reader.sizes[entry.image_id].working) <= 64
                if entry.labels:
                    self.check_arrays(reader, entry, job)

    def test_negatives_are_present_and_empty(self, job, pipeline):
        """D7 of the method's list of defects."""
        negative = [entry for entry in pipeline.index.label if entry.labels == ()]
        shard = next(a for a in pipeline.plan.of(self.stage) if self._holds(pipeline, a, negative))
        entries = [entry for entry in pipeline.job(shard).images if entry in negative]
        pipeline.make(shard)
        with ArtifactReader(pipeline.results / shard.path, kind=KIND_OF_STAGE[self.stage]) as reader:
            for entry in entries:
                names = reader.names(entry.image_id)
                shapes = {name: reader.read(entry.image_id, name).shape for name in names}
                assert shapes == self.negatives_have

    def _holds(self, pipeline, artifact, entries: list[ImageEntry]) -> bool:
        spec = artifact.record.spec
        return spec.get("variant") == self.variant and bool(set(pipeline.job(artifact).images) & set(entries))

    def test_shard_of_one_image(self, job):
        """D1 and D16: nothing depends on how many images a job has."""
        self.run(job)
        with self.open(job) as reader:
            names = {entry.image_id: reader.names(entry.image_id) for entry in job.images}
            arrays = {i: {name: reader.read(i, name) for name in names[i]} for i in names}
        for entry in job.images:
            self.run(narrowed(job, [entry]))
            with self.open(job) as reader:
                assert reader.image_ids == [entry.image_id]
                for name, array in arrays[entry.image_id].items():
                    np.testing.assert_array_equal(reader.read(entry.image_id, name), array)

    def test_class_maps_that_are_zero_everywhere(self, dark_pipeline, tmp_path):
        """D8: no NaN, and no score out of nothing."""
        job = dark_pipeline.job_in(tmp_path, self.stage, self.variant)
        self.run(job)
        with self.open(job) as reader:
            for image_id in reader.image_ids:
                for name in reader.names(image_id):
                    array = reader.read(image_id, name)
                    assert array.dtype.kind != "f" or np.isfinite(array).all(), (image_id, name)
                    assert not name.startswith("map_") or not array.any()

    @pytest.mark.parametrize("point", ["add", "finish"])
    def test_crash_at_any_image_leaves_no_file(self, job, monkeypatch, point):
        """D12."""
        write = getattr(io.ArtifactWriter, point)
        for survived in range(len(job.images) if point == "add" else 1):
            calls = iter(range(survived))

            def crash(writer: io.ArtifactWriter, *arguments: Any, calls=calls) -> None:
                if next(calls, None) is None:
                    raise Crash
                write(writer, *arguments)

            monkeypatch.setattr(io.ArtifactWriter, point, crash)
            with pytest.raises(Crash):
                self.run(job)
            assert not list(job.output.parent.iterdir())

    def test_photo_that_is_gone(self, job, tmp_path):
        if self.opens_photos:
            moved = dataclasses.replace(job, root=tmp_path / "no such folder")
            self.check_refusal(moved, r"no such folder.*\.png: cannot be read")

    def test_parent_that_lacks_an_image(self, job, parent):
        path = job.parents(parent)[0]
        if path.suffix != ".h5":
            return
        stranger = ImageEntry("zz stranger", job.images[0].path, 48, 64, (0,), "0" * 16)
        with pytest.raises(ArtifactError, match=r"\.h5: has no .*'zz stranger'.*run snakemake"):
            self.run(narrowed(job, [*job.images, stranger]))
        assert not list(job.output.parent.iterdir())


class DeviceContract(ShardContract):
    """Holds for stages that run a network on photos.

    Attributes:
        forward: class of the network, and its method that the stage calls.
        size_keys: of the config, that bound the size of what the network sees.
    """

    forward: ClassVar[tuple[type, str]]
    size_keys: ClassVar[str]

    def test_photo_that_the_device_has_no_memory_for(self, job, monkeypatch):
        def fail(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(*self.forward, fail)
        with pytest.raises(InputError) as caught:
            self.run(job)
        (message,) = caught.value.problems
        entry = next(entry for entry in job.images if entry.labels)
        height, width = working_size(entry.height, entry.width, long_side=64)
        assert message.startswith(
            f"{job.photo(entry)}: the device does not have the memory for one image of {height}×{width}"
        )
        assert f"lower {self.size_keys}, or set runtime.device: cpu" in message
        assert not list(job.output.parent.iterdir())
