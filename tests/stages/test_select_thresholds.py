"""select_thresholds on a tiny run."""

import dataclasses

import numpy as np
import pytest
from contract import StageContract, narrowed
from made_up import MadeUpRun

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.json_files import read_json, write_json
from irnet_pipe.recipes import Parent
from irnet_pipe.stages import export_masks, select_thresholds

CHOSEN = {"instance": 0.2, "semantic": 0.6}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


class OfVariant(StageContract):
    stage = "select_thresholds"
    parents = ("propagate", "infer_irnet")

    @pytest.fixture
    def job(self, run, tmp_path):
        return run.job_in(tmp_path, self.stage, self.variant)

    def test_the_maximum_of_each_curve_is_chosen(self, job):
        self.run(job)
        chosen = read_json(job.output, kind="thresholds")
        assert chosen["images"] == sum(bool(entry.labels) for entry in job.images)
        for kind in ("instance", "semantic"):
            curve = chosen[kind]
            assert len(curve["support"]) == len(curve["thresholds"]) == 12
            assert max(curve["support"]) > min(curve["support"])
            assert curve["bg_threshold"] == curve["thresholds"][int(np.argmax(curve["support"]))]

    def test_of_many_images_some_are_looked_at(self, job, monkeypatch):
        self.run(job)
        curves = read_json(job.output, kind="thresholds")
        monkeypatch.setattr(select_thresholds, "MOST_IMAGES", 2)
        self.run(job)
        some = read_json(job.output, kind="thresholds")
        assert some["images"] == 2 and some["semantic"] != curves["semantic"]

    def test_where_nothing_tells_it_is_that_of_the_paper(self, job):
        self.run(narrowed(job, [entry for entry in job.images if not entry.labels]))
        chosen = read_json(job.output, kind="thresholds")
        assert chosen["images"] == 0 and not any(chosen["semantic"]["support"])
        assert chosen["instance"]["bg_threshold"] == chosen["semantic"]["bg_threshold"] == 0.25


class TestFull(OfVariant):
    variant = "full"


class TestBoundary(OfVariant):
    variant = "boundary"


@pytest.mark.parametrize("kinds", [("instance",), ("semantic",), ("instance", "semantic")])
def test_masks_are_made_with_what_was_chosen(kinds, run, tmp_path):
    job = run.job_in(tmp_path, "export_masks", "full")
    chosen = run.artifact("select_thresholds", "full")
    path = job.results / chosen.path
    path.parent.mkdir()
    write_json(
        path,
        chosen.record,
        {"variant": "full", "images": 1} | {kind: {"bg_threshold": t} for kind, t in CHOSEN.items()},
    )
    parent = Parent(chosen.stage, chosen.unit, chosen.recipe, chosen.path)
    record = dataclasses.replace(job.record, parents=(*job.record.parents, parent))

    def made(**thresholds: object) -> list[bytes]:
        settings = {
            f"export.{kind}": job.setting(f"export.{kind}") | {"bg_threshold": value}
            for kind, value in thresholds.items()
        }
        spec = record.spec | {"config": record.spec["config"] | settings}
        changed = dataclasses.replace(job, record=dataclasses.replace(record, spec=spec))
        export_masks.run(changed)
        return masks_of(changed)

    left = {kind: "auto" if kind in kinds else 0.4 for kind in CHOSEN}
    assert made(**left) == made(**{kind: CHOSEN[kind] if kind in kinds else 0.4 for kind in CHOSEN})
    assert made(**left) != made(instance=0.4, semantic=0.4)


def masks_of(job) -> list[bytes]:
    with ArtifactReader(job.output, kind="masks") as reader:
        return [
            reader.read(image_id, name).tobytes()
            for image_id in reader.image_ids
            for name in sorted(reader.names(image_id))
        ]
