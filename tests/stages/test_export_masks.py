"""export_masks on a tiny run, in each variant."""

import dataclasses
from typing import ClassVar

import numpy as np
from contract import ShardContract

from irnet_pipe.artifacts.masks import mask_name, read_instances, read_semantic
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

    def test_masks_marked_wrong_are_left_out(self, job, capsys):
        before = self.masks_of(self.run(job), job)
        image_id, (found, semantic) = next(
            item for item in before.items() if item[1][0].without_fragments().runs
        )
        number = int(np.flatnonzero(found.score > 0)[0])
        job.record.spec["wrong"] = {image_id: [mask_name(found.runs[number])]}
        after = self.masks_of(self.run(job), job)
        assert "note:" not in capsys.readouterr().err
        for other, (masks, _) in after.items():
            expected = before[other][0].score.copy()
            if other == image_id:
                expected[number] = 0
            np.testing.assert_array_equal(masks.score, expected)
        entry = next(entry for entry in job.images if entry.image_id == image_id)
        size = (entry.height, entry.width)
        wrong = decode_rle(found.runs[number], size=size)
        for (class_id, runs), (_, now) in zip(semantic.items(), after[image_id][1].items(), strict=True):
            expected = decode_rle(runs, size=size)
            if class_id == found.class_id[number]:
                expected &= ~wrong
            np.testing.assert_array_equal(decode_rle(now, size=size), expected)

    def test_marks_of_masks_that_are_made_no_more(self, job, capsys):
        before = self.masks_of(self.run(job), job)
        image_id = next(i for i, (found, _) in before.items() if found.runs)
        job.record.spec["wrong"] = {image_id: ["0" * 12]}
        after = self.masks_of(self.run(job), job)
        for other, (found, _) in after.items():
            np.testing.assert_array_equal(found.score, before[other][0].score)
        assert (
            f"note: image {image_id!r}: 1 of 1 masks that the review marks wrong" in capsys.readouterr().err
        )

    def masks_of(self, _, job):
        """image_id → instances, and semantic runs by class."""
        with self.open(job) as reader:
            return {
                i: (read_instances(reader, i), dict(zip(*read_semantic(reader, i), strict=True)))
                for i in reader.image_ids
            }


class TestCam(OfVariant):
    variant = "cam"
    parents = ("infer_cam",)


class TestBoundary(OfVariant):
    variant = "boundary"
    parents = ("propagate",)


class TestFull(OfVariant):
    variant = "full"
    parents = ("propagate",)
