"""report on a tiny run."""

import dataclasses
import json
import re

import pytest
from contract import StageContract
from tiny_pipeline import Pipeline

from irnet_pipe.config.presets import merge
from irnet_pipe.publish import publish
from irnet_pipe.recipes import record_path
from irnet_pipe.report.gallery_data import script_json


class TestReport(StageContract):
    stage = "report"
    parents = (
        "train_cam",
        "infer_cam",
        "mine_relations",
        "train_irnet",
        "infer_irnet",
        "calibrate_displacement",
        "refine_displacement",
        "export_masks",
        "evaluate_cam",
        "evaluate_masks",
        "draw_thumbnails",
    )

    def test_page_stands_alone_and_shows_all_images(self, job, pipeline):
        page = self.run(job).decode()
        for entry in pipeline.index.label:
            assert f'"id":"{entry.image_id}"' in page
        assert "<script src" not in page and 'src="' not in page.split("<script>")[0]
        assert page.count("gallery.layers({") == len(job.fact("shown")) == 3
        assert page.count('"0-photo.jpeg":"data:image/jpeg;base64,') == len(job.parents("draw_thumbnails"))

    def test_layers_are_those_of_the_stages(self, job):
        page = self.run(job).decode()
        (shown,) = {
            tuple(re.findall(r'"name":"([^"]*)"', line))
            for line in re.findall(r"^gallery\.layers\((.*)\);$", page, flags=re.MULTILINE)
            if "confident labels" in line
        }
        assert shown == (
            *("photo", "CAM", "confident labels", "boundary", "displacement", "instance map"),
            *(
                "instances, cam",
                "instances, boundary",
                "semantic mask, full",
                "instances, full",
                "ground truth",
            ),
        )

    def test_thumbnails_beside_the_page(self, job):
        inside = self.run(job).decode()
        spec = job.record.spec | {"beside": True}
        page = self.run(dataclasses.replace(job, record=dataclasses.replace(job.record, spec=spec))).decode()
        assert "gallery.unit({" in inside and "gallery.unit({" not in page
        units = [parent.unit for parent in job.record.parents if parent.stage == "draw_thumbnails"]
        assert f'"beside":{script_json(units)}' in page

    def test_run_without_ground_truth(self, tmp_path, photo_set, trained, make_tiny_values):
        values = make_tiny_values(photo_set, tmp_path / "plain")
        values["dataset"]["evaluate"] = None
        values["export"]["variants"] = ["full"]
        pipeline = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
        assert pipeline.make(pipeline.artifact("report")).stat().st_size > 1000

    def test_thresholds_that_were_chosen(self, tmp_path, photo_set, trained, make_tiny_values):
        left = {"relations": {"bg_threshold": "auto"}, "export": {"instance": {"bg_threshold": "auto"}}}
        values = merge(make_tiny_values(photo_set, tmp_path / "chosen"), left)
        pipeline = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
        page = pipeline.make(pipeline.artifact("report")).read_text(encoding="utf-8")
        chosen = json.loads(pipeline.make(pipeline.artifact("select_thresholds")).read_text(encoding="utf-8"))
        assert f"masks: {chosen['bg_threshold']}, of {chosen['images']} photos" in page
        assert re.search(r"relations: 0\.\d+ and 0\.\d+, of \d+ photos", page)
        shown = re.findall(r'<img src="(data:image/jpeg;[^"]*)" alt="([^"]*)"', page)
        assert shown == [
            (
                address,
                f"{of['image_id']}, {threshold}" + ", chosen" * (float(threshold) == chosen["bg_threshold"]),
            )
            for of in chosen["pictures"]
            for threshold, address in of["shown"].items()
        ]


@pytest.fixture
def published(tmp_path, photo_set, trained, make_tiny_values):
    """Publishes the tiny run of the variant cam with further keys."""

    def make(**report: object):
        values = make_tiny_values(photo_set, tmp_path)
        changes = {"dataset": {"evaluate": None}, "export": {"variants": ["cam"]}, "report": report}
        pipeline = Pipeline(merge(values, changes), {"train_cam": trained.cam})
        (target,) = pipeline.plan.targets
        for artifact in target.parents:
            pipeline.make(artifact)
        publish(record_path(pipeline.results, target.recipe), tmp_path / "outputs")
        return tmp_path / "outputs"

    return make


def test_what_lies_beside_a_report_of_many_images(published):
    folder = published(one_file=7)
    units = sorted(path.name for path in (folder / "report_files").iterdir())
    assert units == ["label-00-of-02", "label-01-of-02", "train-00-of-02", "train-01-of-02"]
    pictures = list(folder.glob("report_files/*/*.png"))
    assert len(pictures) == 2 * 8 and len(list(folder.glob("report_files/*/rows.js"))) == 4
    published(one_file=8)
    assert not (folder / "report_files").exists()


def test_gallery_of_images_with_all_layers_alone(published):
    page = (published(gallery="layered", images=2) / "report.html").read_text(encoding="utf-8")
    assert page.count('"doubt":') == page.count("gallery.layers({") == 2


def test_gallery_of_thumbnails_alone(published):
    page = (published(images=0) / "report.html").read_text(encoding="utf-8")
    assert page.count('"doubt":') == 8 and "gallery.layers({" not in page


def test_report_without_pictures(published):
    page = (published(gallery="layered", images=0) / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "Gallery" not in page
