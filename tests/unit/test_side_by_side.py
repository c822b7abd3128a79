"""The settings of a sweep side by side: what is planned, and what the page shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.config import parse_config
from irnet_pipe.errors import ArtifactError
from irnet_pipe.export.voc import write_tar
from irnet_pipe.plan import Artifact
from irnet_pipe.publish import publish
from irnet_pipe.recipes import marker_name, record_path
from irnet_pipe.report.gallery_data import ROWS, unit_call
from irnet_pipe.workflow import PlannedRun, prepare

KEY = "export.instance.bg_threshold"


class Sweep:
    """The plan of a sweep, with pictures and scores in place of what stages would make."""

    def __init__(self, values: dict, sweep: dict) -> None:
        self.run: PlannedRun = prepare(parse_config(values | {"sweep": sweep}))
        self.results = self.run.results
        (self.publication,) = [a for a in self.run.plan.targets if "settings" in a.record.spec]
        self.settings = self.publication.record.spec["settings"]

    @property
    def folder(self) -> Path:
        return Path(self.run.config.runtime.outputs) / self.publication.record.spec["run"]

    def of(self, setting: int, stage: str) -> list[Artifact]:
        made_of = self.settings[setting]["made_of"]
        return [
            parent
            for parent in self.publication.parents
            if parent.recipe in made_of and parent.stage == stage
        ]

    def draw(self, setting: int, covered: dict[str, float]) -> None:
        """Pictures of the images of a setting: image_id → share of the photo that its one mask covers."""
        for artifact in self.of(setting, "draw_thumbnails"):
            images = [entry for entry in self.entries(artifact) if entry in covered]
            rows = [{"id": i, "masks": [{"area": covered[i]}] if covered[i] else []} for i in images]
            files = [
                (f"{number}-{name}", f"{name} {image} {covered[image]}".encode())
                for number, image in enumerate(images)
                for name in ("photo.jpeg", "instances.png", "classes.png")
            ]
            stream = io.BytesIO()
            write_tar(stream, [*files, (ROWS, unit_call(artifact.unit, rows, []).encode())])
            self.write(artifact, stream.getvalue())

    def entries(self, artifact: Artifact) -> list[str]:
        return [entry.image_id for digest in artifact.images for entry in self.run.image_lists[digest]]

    def write(self, artifact: Artifact, content: bytes) -> None:
        path = self.results / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def score(self, setting: int, ap: float) -> None:
        for artifact in self.of(setting, "evaluate_masks"):
            path = self.results / artifact.path
            path.parent.mkdir(parents=True, exist_ok=True)
            figures = {
                "semantic": {"mean": 0.5, "classes": {}},
                "instance": {"AP50": {"mean": ap, "classes": {}}},
            }
            content = {"variant": artifact.record.spec["variant"], "figures": figures}
            counts = {"images": 2, "images_with_predicted_classes": 0}
            write_json(path, artifact.record, counts | content)

    def page(self) -> str:
        publish(record_path(self.results, self.publication.recipe), self.folder)
        return (self.folder / "settings.html").read_text(encoding="utf-8")


@pytest.fixture
def one_variant(tiny):
    return tiny | {"export": {"variants": ["full"]}}


def test_settings_are_compared_by_what_is_shown_of_them(one_variant):
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5], "seed": [0, 1]})
    assert sweep.publication.record.spec["run"] == "tiny/settings"
    assert [setting["values"] for setting in sweep.settings] == [
        {KEY: threshold, "seed": seed} for threshold in (0.25, 0.5) for seed in (0, 1)
    ]
    assert {parent.stage for parent in sweep.publication.parents} == {"draw_thumbnails", "evaluate_masks"}
    assert len(sweep.run.plan.targets) == 5


@pytest.mark.parametrize("sweep", [{}, {KEY: [0.5]}])
def test_one_setting_is_compared_with_nothing(one_variant, sweep):
    plan = prepare(parse_config(one_variant | {"sweep": sweep})).plan
    assert not [target for target in plan.targets if "settings" in target.record.spec]


def test_without_pictures_and_scores_there_is_no_page(one_variant):
    dataset = one_variant["dataset"] | {"evaluate": None}
    values = one_variant | {"dataset": dataset, "report": {"images": 0, "gallery": "layered"}}
    plan = prepare(parse_config(values | {"sweep": {KEY: [0.25, 0.5]}})).plan
    assert len(plan.targets) == 2


def test_images_on_which_settings_differ_come_first(one_variant):
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5]})
    shown = sweep.publication.record.spec["shown"]
    calm, torn, *_ = shown
    sweep.draw(0, {calm: 0.5, torn: 0.1})
    sweep.draw(1, {calm: 0.4, torn: 0.8})
    for setting in (0, 1):
        sweep.score(setting, 0.5)
    page = sweep.page()
    assert page.index(f"<h3>{torn}</h3>") < page.index(f"<h3>{calm}</h3>")
    assert page.count("<h3>") == 2, "images without pictures are left out"
    assert page.count('class="instances"') == page.count('class="classes"') == 4
    assert page.count("data:image/jpeg") == 2, "each photo once"
    assert "bg_threshold = 0.5 · 1 mask" in page


def test_an_image_that_one_setting_lacks(one_variant):
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5]})
    image_id = sweep.publication.record.spec["shown"][0]
    sweep.draw(0, {})
    sweep.draw(1, {image_id: 0})
    for setting in (0, 1):
        sweep.score(setting, 0.5)
    page = sweep.page()
    assert page.count('class="instances"') == 1
    assert "bg_threshold = 0.5 · 0 masks" in page


def test_keys_that_end_alike_are_named_in_full(one_variant):
    other = "export.semantic.bg_threshold"
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5], other: [0.5]})
    image_id = sweep.publication.record.spec["shown"][0]
    for setting in (0, 1):
        sweep.draw(setting, {image_id: 0.5})
        sweep.score(setting, 0.5)
    assert f"{KEY} = 0.5, {other} = 0.5 · 1 mask" in sweep.page()


def test_scores_and_their_course(one_variant):
    sweep = Sweep(one_variant, {KEY: [0.5, 0.25, 0.3]})
    for setting, ap in enumerate((0.1, 0.2, 0.3)):
        sweep.draw(setting, {})
        sweep.score(setting, ap)
    page = sweep.page()
    rows = list(csv.reader((sweep.folder / "settings.csv").read_text().splitlines()))
    assert rows[0] == [KEY, "variant", "mIoU", "AP50"]
    assert [(row[0], float(row[3])) for row in rows[1:]] == [("0.5", 10), ("0.25", 20), ("0.3", 30)]
    assert page.count('class="chart"') == 2, "mIoU and AP50 over the threshold"


def test_what_was_published_before_is_gone_until_all_is_there(one_variant):
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5]})
    sweep.folder.mkdir(parents=True)
    old = sweep.folder / marker_name("0" * 16)
    old.touch()
    (sweep.folder / "settings.csv").touch()
    sweep.draw(0, {})
    sweep.score(0, 0.5)
    with pytest.raises(ArtifactError, match="artifact is missing"):
        sweep.page()
    sweep.draw(1, {})
    sweep.score(1, 0.5)
    sweep.page()
    assert {path.name for path in sweep.folder.iterdir()} == {
        *("settings.html", "settings.csv"),
        marker_name(sweep.publication.recipe),
    }


@pytest.mark.parametrize("lost", ["rows", "picture"])
def test_damaged_pictures(one_variant, lost):
    sweep = Sweep(one_variant, {KEY: [0.25, 0.5]})
    for setting in (0, 1):
        sweep.draw(setting, {})
        sweep.score(setting, 0.5)
    artifact = sweep.of(0, "draw_thumbnails")[0]
    stream = io.BytesIO()
    image_id = next(i for i in sweep.entries(artifact) if i in sweep.publication.record.spec["shown"])
    rows = (ROWS, unit_call(artifact.unit, [{"id": image_id, "masks": []}], []).encode())
    write_tar(stream, [("other", b""), *([rows] if lost == "picture" else [])])
    sweep.write(artifact, stream.getvalue())
    with pytest.raises(
        ArtifactError, match=f"{artifact.path}: damaged .*; delete it and run snakemake again"
    ):
        sweep.page()
