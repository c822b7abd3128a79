"""select_relation_thresholds on a tiny run, and mine_relations with what it chose."""

import dataclasses

import numpy as np
import pytest
from contract import StageContract, narrowed
from made_up import MadeUpRun

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.json_files import read_json, write_json
from irnet_pipe.recipes import Parent
from irnet_pipe.stages import mine_relations, select_relation_thresholds

CHOSEN = {"fg_threshold": 0.5, "bg_threshold": 0.2}
KIND = "relation_thresholds"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


class TestSelectRelationThresholds(StageContract):
    stage = "select_relation_thresholds"
    parents = ("infer_cam",)

    @pytest.fixture
    def job(self, run, tmp_path):
        return run.job_in(tmp_path, self.stage)

    def test_the_maximum_is_the_foregrounds(self, job):
        self.run(job)
        chosen = read_json(job.output, kind=KIND)
        assert chosen["images"] == sum(bool(entry.labels) for entry in job.images)
        assert len(chosen["explained"]) == len(chosen["thresholds"]) == 13
        assert 0 < min(chosen["explained"]) < max(chosen["explained"]) < 1
        best = chosen["thresholds"][int(np.argmax(chosen["explained"]))]
        assert (chosen["fg_threshold"], chosen["bg_threshold"]) == (best, best / 2)

    def test_of_many_images_some_are_looked_at(self, job, monkeypatch):
        self.run(job)
        curve = read_json(job.output, kind=KIND)
        monkeypatch.setattr(select_relation_thresholds, "MOST_IMAGES", 2)
        self.run(job)
        some = read_json(job.output, kind=KIND)
        assert some["images"] == 2 and some["explained"] != curve["explained"]

    def test_where_nothing_tells_they_are_those_of_the_paper(self, job):
        self.run(narrowed(job, [entry for entry in job.images if not entry.labels]))
        chosen = read_json(job.output, kind=KIND)
        assert chosen["images"] == 0 and not any(chosen["explained"])
        assert (chosen["fg_threshold"], chosen["bg_threshold"]) == (0.3, 0.05)


@pytest.mark.parametrize(
    ("left", "used"),
    [
        ({"fg_threshold": "auto", "bg_threshold": "auto"}, CHOSEN),
        ({"fg_threshold": "auto", "bg_threshold": 0.1}, {"fg_threshold": 0.5, "bg_threshold": 0.1}),
        ({"fg_threshold": "auto", "bg_threshold": 0.6}, {"fg_threshold": 0.6, "bg_threshold": 0.6}),
        ({"fg_threshold": 0.4, "bg_threshold": "auto"}, {"fg_threshold": 0.4, "bg_threshold": 0.2}),
        ({"fg_threshold": 0.1, "bg_threshold": "auto"}, {"fg_threshold": 0.1, "bg_threshold": 0.1}),
    ],
)
def test_relations_are_mined_with_what_was_chosen(left, used, run, tmp_path):
    job = run.job_in(tmp_path, "mine_relations")
    artifact = next(a for a in run.plan.artifacts if a.stage == "select_relation_thresholds")
    path = job.results / artifact.path
    path.parent.mkdir()
    curve = {"thresholds": [0.2], "explained": [0.5]}
    write_json(path, artifact.record, {"images": 1, **CHOSEN, **curve})
    parent = Parent(artifact.stage, artifact.unit, artifact.recipe, artifact.path)
    record = dataclasses.replace(job.record, parents=(*job.record.parents, parent))

    def mined(**thresholds: object) -> list[bytes]:
        settings = {"relations": job.setting("relations") | thresholds}
        spec = record.spec | {"config": record.spec["config"] | settings}
        changed = dataclasses.replace(job, record=dataclasses.replace(record, spec=spec))
        mine_relations.run(changed)
        with ArtifactReader(changed.output, kind="relations") as reader:
            return [
                reader.read(image_id, "label").tobytes()
                for image_id in reader.image_ids
                if reader.names(image_id)
            ]

    assert mined(**left) == mined(**used) != mined(fg_threshold=0.95, bg_threshold=0.9)
