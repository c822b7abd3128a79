"""infer_irnet on a tiny run."""

import numpy as np
import pytest
import torch
from contract import ShardContract

from irnet_pipe.data.photos import working_size
from irnet_pipe.errors import InputError
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.numerics.cam import strided_size


class TestInferIrnet(ShardContract):
    stage = "infer_irnet"
    parents = ("train_irnet",)
    opens_photos = True

    def check_arrays(self, reader, entry, job):
        grid = strided_size(*reader.sizes[entry.image_id].working)
        boundary = reader.read(entry.image_id, "boundary")
        displacement = reader.read(entry.image_id, "displacement")
        assert boundary.shape == grid and displacement.shape == (2, *grid)
        assert boundary.dtype == displacement.dtype == np.float16
        assert (boundary >= 0).all() and (boundary <= 1).all()
        assert np.isfinite(displacement).all()

    def test_photo_that_the_device_has_no_memory_for(self, job, monkeypatch):
        def fail(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(IRNet, "forward", fail)
        with pytest.raises(InputError) as caught:
            self.run(job)
        (message,) = caught.value.problems
        entry = next(entry for entry in job.images if entry.labels)
        height, width = working_size(entry.height, entry.width, long_side=64)
        assert message.startswith(
            f"{job.photo(entry)}: the device does not have the memory for one image of {height}×{width}"
        )
        assert "lower dataset.working_long_side or irnet.infer.canvas, or set runtime.device: cpu" in message
        assert not list(job.output.parent.iterdir())
