"""evaluate_cam on a tiny run."""

import numpy as np
import pytest
from contract import StageContract

from irnet_pipe.artifacts.json_files import read_json


class TestEvaluateCam(StageContract):
    stage = "evaluate_cam"
    parents = ("infer_cam",)

    def scores(self, job) -> dict:
        self.run(job)
        return read_json(job.output, kind="scores")

    def test_scores_of_every_class(self, job):
        scores = self.scores(job)
        assert (scores["images"], scores["variant"]) == (len(job.images), "raw CAM")
        figure = scores["figures"]["semantic"]
        values = [figure["mean"], *figure["classes"].values()]
        assert all(0 <= value <= 1 for value in values)
        assert figure["mean"] == pytest.approx(np.mean(values[1:]))

    def test_class_without_ground_truth_is_null_not_nan(self, job):
        job.record.spec["classes"] = ["box", "disc", "unicorn"]
        figure = self.scores(job)["figures"]["semantic"]
        assert figure["classes"]["unicorn"] is None
        assert figure["mean"] is not None
