"""infer_maskrcnn on a tiny run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from contract import DeviceContract
from segmenter_run import with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.masks import read_instances
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.models.mask_rcnn import Detections, MaskRcnn, pasted_mask
from irnet_pipe.models.trained_segmenters import load_mask_rcnn
from irnet_pipe.numerics.run_lengths import decode_rle


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Mask R-CNN that has learnt nothing."""
    path = tmp_path_factory.mktemp("trained") / "maskrcnn.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = MaskRcnn("resnet18", 2).network.state_dict()
    header = {"kind": "maskrcnn", "backbone": "resnet18", "classes": ["box", "disc"], "learnt-from": "full"}
    write_weights(path, header=header, state_dict=state, history={})
    return path


@pytest.fixture(scope="module")
def pipeline(weights, tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    values = with_segmenters(make_tiny_values(photo_set, tmp_path_factory.mktemp("predictions")))
    return Pipeline(values, {"train_cam": trained.cam, "train_maskrcnn": weights})


@pytest.mark.slow
class TestInferMaskRcnn(DeviceContract):
    stage = "infer_maskrcnn"
    parents = ("train_maskrcnn",)
    opens_photos = True
    forward = (MaskRcnn, "detect")
    size_keys = "maskrcnn.infer.short_side or maskrcnn.infer.max_side"
    negatives_have: ClassVar = {}

    @pytest.fixture
    def dark_pipeline(self, pipeline):
        return pipeline  # no class maps are read

    def check_arrays(self, reader, entry, job):
        found = read_instances(reader, entry.image_id)
        masks = [decode_rle(runs, size=(entry.height, entry.width)) for runs in found.runs]
        assert 0 < len(masks) <= 7 and all(mask.any() for mask in masks)
        assert set(found.class_id) <= {0, 1}
        assert (np.diff(found.score) <= 0).all() and ((found.score >= 0.05) & (found.score <= 1)).all()

    def test_negatives_are_present_and_empty(self, job):
        """They are seen as any photo is: a segmenter knows no labels."""
        self.run(job)
        with self.open(job) as reader:
            negative = [entry.image_id for entry in job.images if entry.labels == ()]
            assert negative
            for image_id in negative:
                assert {"instance_counts", "instance_ends"} < set(reader.names(image_id))


def test_mask_lies_in_the_photo_where_its_box_lies_in_what_was_seen():
    found = Detections(
        box=torch.tensor([[4.0, 2, 8, 10]]),
        score=torch.ones(1),
        class_id=torch.zeros(1, dtype=torch.int64),
        mask=torch.ones(1, 1, 28, 28),
    )
    mask = pasted_mask(found, 0, seen=(16, 16), size=(32, 48)).numpy()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert mask.shape == (32, 48)
    assert (rows[0], rows[-1]) == pytest.approx((4, 20), abs=1)
    assert (columns[0], columns[-1]) == pytest.approx((12, 24), abs=1)


def test_limits_of_detections(weights, rng):
    photo = torch.from_numpy(rng.integers(0, 256, (3, 48, 64), dtype=np.uint8))
    limits = {"nms": 0.9, "min_score": 0.01, "detections": 50}
    model = load_mask_rcnn(weights)

    def count(**others: float) -> int:
        return len(model.limit(**limits | others).detect(photo).score)

    loose = count()
    assert count(nms=0.01) < loose and count(min_score=0.9) < loose and count(detections=2) == 2
