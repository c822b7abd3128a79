"""select_thresholds on a tiny run."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from contract import StageContract, narrowed
from made_up import MadeUpRun
from PIL import Image

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.json_files import read_json, write_json
from irnet_pipe.recipes import Parent
from irnet_pipe.stages import export_masks, select_thresholds

CHOSEN = 0.6


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return MadeUpRun(tmp_path_factory.mktemp("made up"))


class TestSelectThresholds(StageContract):
    stage = "select_thresholds"
    parents = ("propagate", "infer_irnet")

    @pytest.fixture
    def job(self, run, tmp_path):
        return run.job_in(tmp_path, self.stage)

    def test_the_maximum_of_the_curve_is_chosen(self, job):
        self.run(job)
        chosen = read_json(job.output, kind="thresholds")
        assert chosen["images"] == sum(bool(entry.labels) for entry in job.images)
        thresholds = np.array(chosen["thresholds"])
        support, explained, score = (np.array(chosen[key]) for key in ("support", "explained", "score"))
        assert len(thresholds) == 12 and np.ptp(support) > 0 and np.ptp(explained) > 0
        preference = np.exp(-0.3 * np.log(thresholds / 0.25) ** 2)
        np.testing.assert_allclose(score, support * explained * preference)
        assert chosen["bg_threshold"] == thresholds[np.argmax(score)]

    def test_of_many_images_some_are_looked_at(self, job, monkeypatch):
        self.run(job)
        curve = read_json(job.output, kind="thresholds")
        monkeypatch.setattr(select_thresholds, "MOST_IMAGES", 2)
        self.run(job)
        some = read_json(job.output, kind="thresholds")
        assert (
            some["images"] == 2
            and some["explained"] != curve["explained"]
            and some["support"] != curve["support"]
        )

    def test_where_nothing_tells_it_is_that_of_the_paper(self, job):
        self.run(narrowed(job, [entry for entry in job.images if not entry.labels]))
        chosen = read_json(job.output, kind="thresholds")
        assert chosen["images"] == 0 and not any(chosen["score"]) and not chosen["pictures"]
        assert chosen["bg_threshold"] == 0.25

    def test_pictures_show_masks_at_the_chosen_threshold_and_beside_it(self, job, monkeypatch):
        labelled = [entry.image_id for entry in job.images if entry.labels]
        monkeypatch.setattr(select_thresholds, "SHOWN_IMAGES", len(labelled) - 1)
        monkeypatch.setattr(select_thresholds, "SHOWN_SIDE", 48)
        self.run(job)
        chosen = read_json(job.output, kind="thresholds")
        assert len(chosen["pictures"]) == len(labelled) - 1
        around = [t for t in chosen["thresholds"] if round(abs(t - chosen["bg_threshold"]), 2) in (0, 0.1)]
        for shown in chosen["pictures"]:
            assert shown["image_id"] in labelled and [*shown["shown"]] == [str(t) for t in around]
            pictures = [decode(address) for address in shown["shown"].values()]
            assert {max(picture.size) for picture in pictures} == {48}
        assert any(len({*shown["shown"].values()}) > 1 for shown in chosen["pictures"]), "masks differ"


def decode(address: str) -> Image.Image:
    head, data = address.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("kinds", [("instance",), ("semantic",), ("instance", "semantic")])
def test_masks_are_made_with_what_was_chosen(kinds, run, tmp_path):
    job = run.job_in(tmp_path, "export_masks", "full")
    chosen = run.artifact("select_thresholds")
    path = job.results / chosen.path
    path.parent.mkdir()
    curve = {"thresholds": [CHOSEN], "support": [0.5], "explained": [0.5], "score": [0.5], "pictures": []}
    write_json(path, chosen.record, {"images": 1, "bg_threshold": CHOSEN, **curve})
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

    left = {kind: "auto" if kind in kinds else 0.4 for kind in ("instance", "semantic")}
    given = {kind: CHOSEN if kind in kinds else 0.4 for kind in ("instance", "semantic")}
    assert made(**left) == made(**given)
    assert made(**left) != made(instance=0.4, semantic=0.4)


def masks_of(job) -> list[bytes]:
    with ArtifactReader(job.output, kind="masks") as reader:
        return [
            reader.read(image_id, name).tobytes()
            for image_id in reader.image_ids
            for name in sorted(reader.names(image_id))
        ]
