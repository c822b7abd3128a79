"""What segmenters learn from, read from VOC PNGs; masks of variants are tested with their stages."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.training.mask_sources import TrueMasks

ENTRY = ImageEntry("a", "a.png", 4, 6, (0, 1), "d")


@pytest.fixture
def source(tmp_path: Path) -> TrueMasks:
    """Two objects, and between them a column of void."""
    classes = np.zeros((4, 6), dtype=np.uint8)
    classes[:, :2], classes[:, 2], classes[:, 3] = 2, 255, 1
    objects = np.where(classes == 255, 255, np.where(classes > 0, classes + 5, 0)).astype(np.uint8)
    for name, content in (("class", classes), ("object", objects)):
        Image.fromarray(content).save(tmp_path / f"{name}.png")
    listed = {"kind": "voc", "images": {"a": {"class": "class.png", "object": "object.png"}}}
    (tmp_path / "truth.json").write_text(json.dumps(listed), encoding="utf-8")
    return TrueMasks(tmp_path / "truth.json", tmp_path, ("box", "disc"))


def test_void_is_a_label_and_belongs_to_no_instance(source):
    assert source.label_map(ENTRY)[0].tolist() == [2, 2, 255, 1, 0, 0]
    masks, class_id = source.instances(ENTRY)
    assert [(mask[0].tolist(), c) for mask, c in zip(masks, class_id, strict=True)] == [
        ([False, False, False, True, False, False], 0),
        ([True, True, False, False, False, False], 1),
    ]
    assert source.has_classes(ENTRY) and source.has_instances(ENTRY)


def test_void_alone_is_no_class(source, tmp_path):
    for name in ("class", "object"):
        Image.fromarray(np.full((4, 6), 255, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    assert not source.has_classes(ENTRY) and not source.has_instances(ENTRY)


def test_processes_that_load_photos_open_it_anew(source):
    assert source.has_classes(ENTRY)
    sent = copy.copy(source)  # by the state that pickle would take
    assert "opened" in vars(source) and "opened" not in vars(sent)
    assert sent.label_map(ENTRY).tolist() == source.label_map(ENTRY).tolist()
