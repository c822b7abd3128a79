"""propagate on a tiny run."""

from typing import ClassVar

import numpy as np
from contract import ShardContract

from irnet_pipe.artifacts.propagation import read_class_scores, read_instance_scores
from irnet_pipe.numerics.cam import strided_size


class TestPropagate(ShardContract):
    stage = "propagate"
    parents = ("infer_cam", "infer_irnet", "refine_displacement")
    negatives_have: ClassVar = {"class_id": (0,)}

    def check_arrays(self, reader, entry, job):
        image_id = entry.image_id
        grid = strided_size(*reader.sizes[image_id].working)
        classes, instance = read_instance_scores(reader, image_id)
        class_id, of_class = read_class_scores(reader, image_id)
        assert class_id.tolist() == list(entry.labels)
        assert of_class.shape == (len(class_id), *grid)
        assert instance.shape == (len(classes), *grid)
        assert len(reader.read(image_id, "instance_id")) == len(classes)
        assert set(classes) <= set(class_id)
        assert (instance >= 0).all()
        for number, class_ in enumerate(class_id):
            total = instance[classes == class_].sum(axis=0)
            np.testing.assert_allclose(of_class[number], total, rtol=1e-6)
