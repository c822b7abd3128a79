"""What the gallery is told of images, without a browser."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from irnet_pipe.artifacts.masks import InstanceMasks, mask_name
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.numerics.run_lengths import encode_rle
from irnet_pipe.report.gallery_data import (
    files_call,
    page_call,
    picture_file,
    read_unit,
    script_json,
    unit_call,
)
from irnet_pipe.report.html import SCRIPTS, Gallery, Page, Section, render
from irnet_pipe.report.thumbnails import doubt, draw_thumbnails, image_row

NASTY = "</script><script>alert('x')</script> <!-- & \"ü\" \u2028"


def masks_of(*found: tuple[np.ndarray, int, float]) -> InstanceMasks:
    """Instances of masks, class_id and score each."""
    return InstanceMasks(
        [encode_rle(mask) for mask, _, _ in found],
        np.array([class_id for _, class_id, _ in found], dtype=np.int32),
        np.array([score for _, _, score in found], dtype=np.float32),
    )


def box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


ENTRY = ImageEntry("a", "a.png", 10, 20, (0, 1), "0" * 16)
LEFT, RIGHT = box(10, 20, 2, 0, 7, 5), box(10, 20, 0, 10, 10, 20)
NONE = masks_of()


@pytest.mark.parametrize(
    ("present", "found", "expected"),
    [
        ([], NONE, 0.0),
        ([0], NONE, 1.0),
        ([0], masks_of((LEFT, 0, 0.75)), 0.25),
        ([0, 1], masks_of((LEFT, 0, 0.75)), 1.0),
        ([0, 1], masks_of((LEFT, 0, 0.75), (RIGHT, 1, 0.5)), 0.5),
    ],
)
def test_doubt(present, found, expected):
    assert doubt(present, found) == expected


def test_row_of_an_image():
    found = masks_of((LEFT, 0, 0.75), (RIGHT, 1, 0.5))
    row = image_row(ENTRY, found, present=[0, 1], left_out=NONE)
    assert row == {
        "id": "a",
        "size": [10, 20],
        "labels": [0, 1],
        "masks": [
            {
                "class": 0,
                "score": 0.75,
                "area": 0.125,
                "box": [0, 0.2, 0.25, 0.5],
                "name": mask_name(found.runs[0]),
            },
            {
                "class": 1,
                "score": 0.5,
                "area": 0.5,
                "box": [0.5, 0, 0.5, 1],
                "name": mask_name(found.runs[1]),
            },
        ],
        "doubt": 0.5,
    }
    json.dumps(row, allow_nan=False)


def test_row_tells_of_predicted_classes_and_masks_left_out():
    predicted = ImageEntry("a", "a.png", 10, 20, None, "0" * 16)
    row = image_row(predicted, NONE, present=[1], left_out=masks_of((RIGHT, 1, 0)))
    assert row["predicted"] is True and row["labels"] == [1] and row["doubt"] == 1
    assert [mask["class"] for mask in row["left_out"]] == [1]


def test_names_of_masks_stand_for_their_pixels():
    names = {mask_name(encode_rle(mask)) for mask in (LEFT, RIGHT, LEFT.copy(), ~LEFT)}
    assert len(names) == 3 and all(re.fullmatch("[0-9a-f]{12}", name) for name in names)


def test_thumbnails_have_the_size_of_the_photo():
    pictures = list(
        draw_thumbnails(
            np.zeros((5, 10, 3), dtype=np.uint8),
            ENTRY,
            instances=masks_of((LEFT, 0, 0.75)),
            semantic=(np.array([1], dtype=np.int32), [encode_rle(RIGHT)]),
        )
    )
    assert [picture_file(7, picture.name) for picture in pictures] == [
        "7-photo.jpeg",
        "7-instances.png",
        "7-classes.png",
    ]
    assert {picture.image.size for picture in pictures} == {(10, 5)}
    opaque = [np.asarray(picture.image.convert("RGBA"))[..., 3] > 0 for picture in pictures]
    np.testing.assert_array_equal(opaque[1], LEFT[::2, ::2])
    np.testing.assert_array_equal(opaque[2], RIGHT[::2, ::2])


def test_json_cannot_end_its_script():
    value = {"name": NASTY, "list": [1, 0.5, None]}
    text = script_json(value)
    assert "<" not in text
    assert json.loads(text) == value


def test_units_are_read_as_they_were_written():
    rows = [image_row(ENTRY, NONE, present=[0], left_out=NONE)]
    text = unit_call(NASTY, rows, [("train_cam", "train_cam/all.pth")])
    assert read_unit(text) == {"unit": NASTY, "recipes": [["train_cam", "train_cam/all.pth"]], "rows": rows}
    with pytest.raises(ValueError, match=r"Expecting|Extra"):
        read_unit(text[: len(text) // 2])


def test_page_of_a_gallery_holds_its_scripts_and_loads_none():
    calls = [page_call({"classes": [NASTY]}), files_call("train-00-of-01", {"0-photo.jpeg": "data:,"})]
    page = render(Page("run", [Section("Gallery", [Gallery(calls)])]))
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == len(SCRIPTS) + len(calls) + 1
    assert page.count("<script") == len(scripts), "no script has a source"
    assert not re.search(r"(?:https?:)?//[a-z]+\.", re.sub(r"http://www\.w3\.org/\S+", "", page))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'getElementById\("([a-z-]+)"\)', page))
    wanted |= {f"viewer-{name}" for name in re.findall(r'\bpart\("([a-z-]+)"\)', page)}
    assert wanted <= set(ids), "every part that a script looks for is there"
