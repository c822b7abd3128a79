"""draw_thumbnails on a tiny run."""

from __future__ import annotations

import dataclasses
import io
import tarfile

import numpy as np
import pytest
from contract import StageContract
from PIL import Image

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.masks import mask_name, read_instances
from irnet_pipe.errors import InputError
from irnet_pipe.numerics.run_lengths import decode_rle
from irnet_pipe.recipes import read_record, record_path, write_record
from irnet_pipe.report.gallery_data import ROWS, read_unit


class TestDrawThumbnails(StageContract):
    stage = "draw_thumbnails"
    parents = ("export_masks",)

    def members(self, job) -> dict[str, bytes]:
        self.run(job)
        with tarfile.open(job.output) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}

    def test_pictures_and_a_row_of_every_image(self, job):
        members = self.members(job)
        unit = read_unit(members.pop(ROWS).decode())
        assert unit["unit"] == job.record.unit
        assert [row["id"] for row in unit["rows"]] == [entry.image_id for entry in job.images]
        names = ("photo.jpeg", "instances.png", "classes.png")
        assert set(members) == {f"{i}-{name}" for i in range(len(job.images)) for name in names}
        for number, entry in enumerate(job.images):
            for name in names:
                with Image.open(io.BytesIO(members[f"{number}-{name}"])) as picture:
                    assert picture.size == (entry.width, entry.height), "smaller photos stay as they are"

    def test_rows_tell_of_the_masks_that_are_exported(self, job):
        rows = {row["id"]: row for row in read_unit(self.members(job)[ROWS].decode())["rows"]}
        with ArtifactReader(job.parent("export_masks"), kind="masks") as masks:
            for entry in job.images:
                found = read_instances(masks, entry.image_id).without_fragments()
                told = rows[entry.image_id]["masks"]
                assert [mask["name"] for mask in told] == [mask_name(runs) for runs in found.runs]
                for mask, runs in zip(told, found.runs, strict=True):
                    pixels = decode_rle(runs, size=(entry.height, entry.width))
                    y, x = np.nonzero(pixels)
                    assert mask["area"] == pytest.approx(pixels.mean(), abs=1e-5)
                    left, top, width, height = mask["box"]
                    assert left * entry.width == pytest.approx(x.min(), abs=0.02)
                    assert (top + height) * entry.height == pytest.approx(y.max() + 1, abs=0.02)
                    assert width > 0

    def test_recipes_are_those_of_the_shard(self, job):
        recipes = read_unit(self.members(job)[ROWS].decode())["recipes"]
        stages = [stage for stage, _ in recipes]
        assert stages[0] == "train_cam" and stages[-1] == "export_masks"
        assert len(stages) == len(set(stages)), "one of each: those of other shards are left out"

    def test_only_some_images(self, job):
        chosen = job.images[0].image_id
        job.record.spec["only"] = [chosen]
        members = self.members(job)
        assert [row["id"] for row in read_unit(members[ROWS].decode())["rows"]] == [chosen]
        assert len(members) == 4

    def test_masks_that_were_left_out_are_told_of(self, job):
        (parent,) = job.record.parents
        with ArtifactReader(job.parent("export_masks"), kind="masks") as masks:
            image_id, names = next(
                (i, [mask_name(runs) for runs in read_instances(masks, i).runs])
                for i in masks.image_ids
                if read_instances(masks, i).runs
            )
        record = read_record(record_path(job.results, parent.recipe))
        spec = record.spec | {"wrong": {image_id: [names[0], "0" * 12]}}
        record_path(job.results, parent.recipe).unlink()  # a link to one that others read
        write_record(job.results, dataclasses.replace(record, spec=spec))
        rows = {row["id"]: row for row in read_unit(self.members(job)[ROWS].decode())["rows"]}
        assert [mask["name"] for mask in rows[image_id]["left_out"]] == [names[0]]
        assert not any("left_out" in row for other, row in rows.items() if other != image_id)

    def test_long_side(self, job):
        job.record.spec["config"]["report.thumbnail"] = 32
        for name, content in self.members(job).items():
            if name != ROWS:
                assert max(Image.open(io.BytesIO(content)).size) == 32

    def test_photo_that_is_gone(self, job, tmp_path):
        moved = dataclasses.replace(job, root=tmp_path / "no such folder")
        with pytest.raises(InputError, match="cannot be read"):
            self.run(moved)
        assert not list(job.output.parent.iterdir())
