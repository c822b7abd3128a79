"""evaluate_masks on a tiny run."""

import dataclasses

import numpy as np
import pytest
from contract import StageContract

from irnet_pipe.artifacts.arrays import pack_runs
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.evaluation.ground_truth import open_truth
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.recipes import read_record, record_path


class TestEvaluateMasks(StageContract):
    stage = "evaluate_masks"
    variant = "full"
    parents = ("export_masks",)

    def test_scores_of_every_class(self, job):
        self.run(job)
        scores = read_json(job.output, kind="scores")
        assert (scores["images"], scores["variant"]) == (len(job.images), "full")
        result = scores["figures"]
        assert list(result["instance"]) == ["AP25", "AP50", "AP70", "AP75"]
        for figure in (result["semantic"], *result["instance"].values()):
            values = [figure["mean"], *figure["classes"].values()]
            assert all(0 <= value <= 1 for value in values)
            assert figure["mean"] == pytest.approx(np.mean(values[1:]))

    def test_masks_equal_to_the_ground_truth_score_one(self, job):
        truth = open_truth(job.truth, root=job.root, class_names=job.fact("classes"))
        for parent in job.record.parents:
            if parent.stage == "export_masks":
                self.write_truth(job, truth, parent.recipe)
        self.run(job)
        result = read_json(job.output, kind="scores")["figures"]
        assert result["semantic"]["mean"] == 1
        assert {figure["mean"] for figure in result["instance"].values()} == {1}

    def write_truth(self, job, truth, recipe: str) -> None:
        """Put the ground truth in the place of the masks of a shard."""
        record = read_record(record_path(job.results, recipe))
        shard = dataclasses.replace(job, record=record)
        with write_artifact(job.results / record.path, record) as writer:
            for entry in shard.images:
                size = entry.height, entry.width
                true = truth.masks(entry.image_id, size=size)
                label = truth.label_map(entry.image_id, size=size)
                arrays = {"class_id": np.array(entry.labels, dtype=np.int32)}
                arrays |= pack_runs("semantic", [encode_rle(label == c + 1) for c in entry.labels])
                arrays |= pack_runs("instance", list(true.runs))
                arrays["instance_class"] = true.class_id.astype(np.int32)
                arrays["instance_score"] = np.ones(len(true.class_id), dtype=np.float32)
                writer.add(entry.image_id, ImageSize(*size, *size), arrays)

    def test_class_without_ground_truth_is_null_not_nan(self, job):
        job.record.spec["classes"] = ["box", "disc", "unicorn"]
        self.run(job)
        figure = read_json(job.output, kind="scores")["figures"]["instance"]["AP50"]
        assert figure["classes"]["unicorn"] is None
        assert figure["mean"] is not None
