"""infer_cam on a tiny run."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch
from contract import DeviceContract, narrowed

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.data.photo_files import working_size
from irnet_pipe.models.cam_net import CamNet


class TestInferCam(DeviceContract):
    stage = "infer_cam"
    parents = ("train_cam",)
    opens_photos = True
    forward = (CamNet, "class_maps")
    size_keys = "dataset.working_long_side or the largest of cam.infer.scales"
    negatives_have: ClassVar = {"class_id": (0,)}

    def check_arrays(self, reader, entry, job):
        class_id, maps = read_class_maps(reader, entry.image_id)
        assert class_id.tolist() == list(entry.labels)
        height, width = working_size(entry.height, entry.width, long_side=64)
        for scale, map_ in zip((1, 0.5), maps, strict=True):
            sides = [-(-round(side * scale) // 16) for side in (height, width)]
            assert map_.shape == (len(entry.labels), *sides)
            assert map_.dtype == np.float32
            assert (map_ >= 0).all() and map_.max() > 0

    @pytest.mark.parametrize(("threshold", "expected"), [(0.0, [0, 1]), (1.0, [])])
    def test_classes_of_unlabelled_images_are_predicted(self, job, threshold, expected):
        entries = [dataclasses.replace(entry, labels=None) for entry in job.images]
        config = job.record.spec["config"] | {"dataset.predict_threshold": threshold}
        record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
        self.run(narrowed(dataclasses.replace(job, record=record), entries))
        with self.open(job) as reader:
            for entry in entries:
                assert reader.read(entry.image_id, "class_id").tolist() == expected

    def test_threads_of_the_caller_change_nothing(self, job):
        torch.set_num_threads(2)
        self.run(job)
        assert torch.get_num_threads() == 1
