"""infer_cam on a tiny run."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch
from contract import ShardContract, narrowed

from irnet_pipe.artifacts.class_maps import read_class_maps
from irnet_pipe.data.photos import working_size
from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet


class TestInferCam(ShardContract):
    stage = "infer_cam"
    parents = ("train_cam",)
    opens_photos = True
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

    def test_photo_that_the_device_has_no_memory_for(self, job, monkeypatch):
        def fail(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(CamNet, "class_maps", fail)
        with pytest.raises(InputError) as caught:
            self.run(job)
        (message,) = caught.value.problems
        entry = next(entry for entry in job.images if entry.labels)
        height, width = working_size(entry.height, entry.width, long_side=64)
        assert message.startswith(
            f"{job.photo(entry)}: the device does not have the memory for one image of {height}×{width}"
        )
        assert (
            "lower dataset.working_long_side or the largest of cam.infer.scales, or set runtime.device: cpu"
            in message
        )
        assert not list(job.output.parent.iterdir())
