"""report on a tiny run."""

from contract import StageContract
from tiny_pipeline import Pipeline


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
    )

    def test_page_stands_alone_and_shows_the_chosen_images(self, job):
        page = self.run(job).decode()
        for image_id in job.fact("shown"):
            assert image_id in page
        assert 'src="http' not in page and "<script src" not in page

    def test_run_without_ground_truth(self, tmp_path, photo_set, trained, make_tiny_values):
        values = make_tiny_values(photo_set, tmp_path / "plain")
        values["dataset"]["evaluate"] = None
        values["export"]["variants"] = ["full"]
        pipeline = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
        assert pipeline.make(pipeline.artifact("report")).stat().st_size > 1000
