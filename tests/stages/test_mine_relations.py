"""mine_relations on a tiny run."""

import numpy as np
from contract import ShardContract


class TestMineRelations(ShardContract):
    stage = "mine_relations"
    parents = ("infer_cam",)
    opens_photos = True

    def check_arrays(self, reader, entry, job):
        label = reader.read(entry.image_id, "label")
        assert label.shape == reader.sizes[entry.image_id].working
        assert label.dtype == np.uint8
        assert set(np.unique(label)) <= {0, 255, *range(1, len(entry.labels) + 1)}
        assert reader.read(entry.image_id, "class_id").tolist() == list(entry.labels)
