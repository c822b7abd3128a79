"""export_masks on a tiny run, in each variant."""

import dataclasses
from typing import ClassVar

import numpy as np
from contract import ShardContract

from irnet_pipe.artifacts.masks import read_instances, read_semantic
from irnet_pipe.numerics.run_lengths import decode_rle


class OfVariant(ShardContract):
    stage = "export_masks"
    negatives_have: ClassVar = {
        "class_id": (0,),
        "semantic_counts": (0,),
        "semantic_ends": (0,),
        "instance_counts": (0,),
        "instance_ends": (0,),
        "instance_class": (0,),
        "instance_score": (0,),
    }

    def check_arrays(self, reader, entry, job):
        size = entry.height, entry.width
        class_id, semantic = read_semantic(reader, entry.image_id)
        assert class_id.tolist() == list(entry.labels)
        covered = sum(decode_rle(runs, size=size).astype(int) for runs in semantic)
        assert covered.max() == 1, "semantic masks are disjoint"
        found = read_instances(reader, entry.image_id)
        masks = [decode_rle(runs, size=size) for runs in found.runs]
        assert masks and all(mask.any() for mask in masks)
        assert sum(mask.astype(int) for mask in masks).max() == 1, "instances are disjoint"
        assert set(found.class_id) <= set(class_id)
        assert ((found.score >= 0) & (found.score <= 1)).all()
        small = np.array([mask.sum() < 0.01 * mask.size for mask in masks])
        assert ((found.score == 0) == small).all()

    def test_class_maps_that_are_zero_everywhere_give_no_mask(self, dark_pipeline, tmp_path):
        job = dark_pipeline.job_in(tmp_path, self.stage, self.variant)
        self.run(job)
        with self.open(job) as reader:
            for image_id in reader.image_ids:
                assert not read_instances(reader, image_id).runs
                _, semantic = read_semantic(reader, image_id)
                assert not any(decode_rle(r, size=reader.sizes[image_id].full).any() for r in semantic)

    def test_every_component_is_exported_if_asked_for(self, job):
        settings = {"export.instance": {"bg_threshold": 0.25, "min_fragment": 0}}
        config = job.record.spec["config"] | settings
        record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
        self.run(dataclasses.replace(job, record=record))
        with self.open(job) as reader:
            for image_id in reader.image_ids:
                assert (read_instances(reader, image_id).score > 0).all()


class TestCam(OfVariant):
    variant = "cam"
    parents = ("infer_cam",)


class TestBoundary(OfVariant):
    variant = "boundary"
    parents = ("propagate",)


class TestFull(OfVariant):
    variant = "full"
    parents = ("propagate",)
