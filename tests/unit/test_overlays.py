"""What segmenters find, drawn over photos."""

from __future__ import annotations

import numpy as np

from irnet_pipe.artifacts.masks import InstanceMasks
from irnet_pipe.export.voc import voc_palette
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.report.figures import distinct_colours
from irnet_pipe.report.overlays import LONG_SIDE, draw_found_classes, draw_found_instances

NAMES = ["möwe", "disc"]
GREY = 100


def photo_of(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def found_in(masks: list[np.ndarray], scores: list[float]) -> InstanceMasks:
    runs = [encode_rle(mask) for mask in masks]
    return InstanceMasks(runs, np.zeros(len(masks), np.int32), np.array(scores, np.float32))


def test_instances_are_tinted_outlined_and_named():
    mask = np.zeros((200, 300), bool)
    mask[40:160, 50:250] = True
    picture = np.array(
        draw_found_instances(photo_of(200, 300), found_in([mask], [0.9]), class_names=NAMES, min_score=0.5)
    )
    colour = distinct_colours(1)[0]
    assert (picture[~mask] == GREY).all()
    assert (picture[40, 60] == colour).all(), "outline"
    assert (picture[50, 60] == np.rint(0.5 * GREY + 0.5 * colour.astype(float))).all(), "tint"
    tag = picture[90:110, 120:180].reshape(-1, 3)
    assert (tag == colour).all(axis=1).sum() > 100, "the tag lies at the centre"
    assert len(np.unique(tag, axis=0)) > 4, "with text on it"


def test_unsure_instances_are_left_out():
    masks = [np.zeros((60, 400), bool) for _ in range(2)]
    masks[0][:, :200] = masks[1][:, 200:] = True
    picture = np.array(
        draw_found_instances(photo_of(60, 400), found_in(masks, [0.9, 0.4]), class_names=NAMES, min_score=0.5)
    )
    assert (picture[:, 200:] == GREY).all() and (picture[:, :200] != GREY).any()


def test_the_best_instance_lies_on_top():
    mask = np.ones((60, 80), bool)
    found = found_in([mask, mask], [0.9, 0.6])
    picture = np.array(draw_found_instances(photo_of(60, 80), found, class_names=NAMES, min_score=0.5))
    assert (picture[0, 0] == distinct_colours(2)[1]).all()
    alone = np.array(draw_found_instances(photo_of(60, 80), found, class_names=NAMES, min_score=0.7))
    assert (alone[0, 0] == distinct_colours(1)[0]).all()


def test_classes_have_the_colours_of_the_palette():
    label = np.zeros((100, 120), np.uint8)
    label[:, 60:] = 2
    picture = np.array(draw_found_classes(photo_of(100, 120), label, class_names=NAMES))
    assert (picture[50, 5] == GREY).all()
    assert (picture[0, 119] == voc_palette()[2]).all()


def test_large_photos_are_drawn_smaller():
    mask = np.zeros((1000, 2 * LONG_SIDE), bool)
    mask[:, LONG_SIDE:] = True
    found, photo = found_in([mask], [1]), photo_of(*mask.shape)
    for picture in (
        draw_found_instances(photo, found, class_names=NAMES, min_score=0.5),
        draw_found_classes(photo, mask.astype(np.uint8), class_names=NAMES),
    ):
        assert picture.size == (LONG_SIDE, 500)
        assert (np.array(picture)[:, : LONG_SIDE // 2] == GREY).all()
        assert (np.array(picture)[250, LONG_SIDE // 2 :] != GREY).any()


def test_nothing_found_is_the_photo():
    photo = photo_of(40, 50)
    empty = draw_found_instances(photo, found_in([], []), class_names=NAMES, min_score=0)
    assert (np.array(empty) == photo).all()
    classes = draw_found_classes(photo, np.zeros((40, 50), np.uint8), class_names=NAMES)
    assert (np.array(classes) == photo).all()
