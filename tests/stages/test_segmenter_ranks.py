"""Two ranks on a CPU train segmenters together, each on its part of the batch."""

import numpy as np
import pytest
from segmenter_run import training_job, with_segmenters
from test_ranks_together import run_together
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.recipes import record_path, write_record

pytestmark = pytest.mark.slow


def test_two_ranks_finish_what_either_could(tmp_path, photo_set, trained, make_tiny_values):
    values = with_segmenters(make_tiny_values(photo_set, tmp_path / "run"))
    pipeline = Pipeline(values, {"train_cam": trained.cam, "train_irnet": trained.irnet})
    jobs = {}
    for kind in ("maskrcnn", "deeplab"):
        job = training_job(pipeline, tmp_path / kind, kind, batch=4, iterations=2)
        record_path(job.results, job.record.recipe).unlink()  # a link to that of other tests
        write_record(job.results, job.record)
        jobs[kind] = (job, None)
    told = run_together(tmp_path, jobs)
    assert told == [{"maskrcnn": "", "deeplab": ""}] * 2
    for kind, (job, _) in jobs.items():
        history = read_weights(job.output, kind=kind).history
        assert history["step"] == [1, 2] and np.isfinite(history["loss"]).all()
