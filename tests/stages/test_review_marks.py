"""Marks on masks against the masks of a tiny run."""

from __future__ import annotations

import json

import pytest

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.masks import mask_name, read_instances
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.errors import InputError
from irnet_pipe.index import build_index
from irnet_pipe.planner import make_plan
from irnet_pipe.review_marks import marks_without_mask
from irnet_pipe.validate import validate

LOST = "0" * 12


@pytest.fixture
def marked(pipeline, tmp_path):
    """Config of the tiny run with a review that marks a mask that is there and one that is not, and the image."""
    exported = pipeline.artifact("export_masks", "full")
    with ArtifactReader(pipeline.make(exported), kind="masks") as masks:
        image_id = next(i for i in masks.image_ids if read_instances(masks, i).runs)
        there = mask_name(read_instances(masks, image_id).runs[0])
    said = {"format": "irnet_pipe.review", "version": 1, "images": {image_id: {"wrong": [there, LOST]}}}
    path = tmp_path / "review.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    values = pipeline.config.model_dump(mode="json")
    return parse_config(merge(values, {"review": str(path)})), image_id, pipeline.results / exported.path


def test_marks_are_looked_for_in_the_masks_that_were_seen(marked, pipeline):
    config, image_id, path = marked
    plan = make_plan(config, build_index(config, results=pipeline.results))
    assert list(marks_without_mask(plan, pipeline.results)) == [(image_id, LOST, path)]


def test_masks_that_are_not_made_yet_are_not_missed(marked, pipeline, tmp_path):
    config, _, _ = marked
    plan = make_plan(config, build_index(config, results=pipeline.results))
    assert not list(marks_without_mask(plan, tmp_path))


def test_validate_tells_of_marks_without_mask(marked):
    config, image_id, path = marked
    with pytest.raises(InputError) as caught:
        validate(config)
    assert caught.value.problems == [
        f"{config.review}: image {image_id!r}: mask {LOST!r} is none of those in {path}, which were made anew since; "
        "mark it in the new report, or delete the entry (a run leaves it alone)"
    ]
