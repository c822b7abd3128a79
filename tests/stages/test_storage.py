"""What benchmarks/storage.py counts."""

import pytest

from benchmarks.storage import bytes_per_photo


def test_bytes_of_shards_are_shared_by_their_photos(pipeline):
    pipeline.make(pipeline.artifact("export_masks", "full"))
    found = bytes_per_photo(pipeline.results)
    for stage in ("infer_cam", "propagate"):
        made = [
            artifact for artifact in pipeline.plan.of(stage) if (pipeline.results / artifact.path).exists()
        ]
        photos = sum(len(pipeline.job(artifact).images) for artifact in made)
        stored = sum((pipeline.results / artifact.path).stat().st_size for artifact in made)
        assert found[stage] == (photos, pytest.approx(stored / photos))
    assert found["export_masks full"][0] > 0
    assert not {"train_cam", "train_irnet", "calibrate_displacement"} & set(found)
