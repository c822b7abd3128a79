"""calibrate_displacement on a tiny run."""

import dataclasses

import numpy as np
import pytest
from contract import StageContract, narrowed

from irnet_pipe.artifacts.io import ShardSet
from irnet_pipe.artifacts.irnet_maps import read_displacement
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.errors import InputError
from irnet_pipe.stages import infer_irnet


class TestCalibrateDisplacement(StageContract):
    stage = "calibrate_displacement"
    parents = ("infer_irnet",)

    def test_mean_over_all_pixels_of_all_training_images(self, job, pipeline):
        self.run(job)
        training = [entry.image_id for entry in pipeline.index.train if entry.labels]
        with ShardSet(job.parents("infer_irnet"), kind="irnet_maps") as maps:
            fields = [read_displacement(maps, i).astype(np.float64).reshape(2, -1) for i in training]
        mean = read_json(job.output, kind="calibration")
        expected = np.concatenate(fields, axis=1)
        np.testing.assert_allclose(mean["mean_displacement"], expected.mean(axis=1), rtol=1e-12)
        assert mean["pixels"] == expected.shape[1]

    def test_one_image_is_enough(self, job, pipeline, tmp_path):
        """D16: fewer images than a batch."""
        shard = pipeline.job_in(tmp_path / "one", "infer_irnet")
        one = next(entry for entry in shard.images if entry.labels)
        infer_irnet.run(narrowed(shard, [one]))
        parent = next(p for p in job.record.parents if p.unit == shard.record.unit)
        path = job.results / parent.path
        path.unlink()
        shard.output.rename(path)
        record = dataclasses.replace(job.record, parents=(parent,))
        self.run(dataclasses.replace(job, record=record))
        height, width = -(-min(one.height, 64) // 4), -(-min(one.width, 64) // 4)
        assert read_json(job.output, kind="calibration")["pixels"] == height * width

    def test_no_training_image_with_labels(self, job):
        record = dataclasses.replace(job.record, parents=())
        with pytest.raises(InputError, match="no training image has a label"):
            self.run(dataclasses.replace(job, record=record))
