"""Outlines: filled by a rasteriser of either kind, they are the mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy import ndimage

from irnet_pipe.numerics.outlines import join_parts, trace_outlines

# pycocotools hands numpy an object whose __array__ knows no `copy`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def inside(mask):
    """Naive twin of filling `corners`: the centre of a pixel is inside where a ray crosses an odd number of edges."""
    height, width = mask.shape
    filled = np.zeros_like(mask)
    for outline in trace_outlines(mask):
        ends = np.roll(outline.corners, -1, axis=0)
        for y in range(height):
            for x in range(width):
                crossed = 0
                for (x0, y0), (x1, y1) in zip(outline.corners, ends, strict=True):
                    crossed += x0 == x1 and x0 > x and min(y0, y1) <= y < max(y0, y1)
                filled[y, x] ^= crossed % 2 == 1
    return filled


def by_coco(mask):
    polygons = [outline.corners.ravel().astype(float).tolist() for outline in trace_outlines(mask)]
    return coco.decode(coco.merge(coco.frPyObjects(polygons, *mask.shape))).astype(bool)


def by_pil(points, size):
    image = Image.fromarray(np.zeros(size, np.uint8))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=1, outline=1)
    return np.array(image) > 0


def drawn(mask):
    return np.logical_or.reduce([by_pil(outline.pixels, mask.shape) for outline in trace_outlines(mask)])


def random_mask(seed, *, largest=40):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, largest, size=2)
    if seed % 2:
        return ndimage.gaussian_filter(rng.random(size), 2) > 0.5
    return rng.random(size) < rng.choice([0.1, 0.5, 0.7, 0.95])


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_random_masks_are_filled_alike(seed):
    mask = random_mask(seed)
    outlines = trace_outlines(mask)
    assert len(outlines) == ndimage.label(mask)[1]
    if outlines:
        np.testing.assert_array_equal(by_coco(mask), mask)
        np.testing.assert_array_equal(drawn(mask), mask)


@pytest.mark.parametrize("seed", range(20))
def test_even_odd_rule_by_hand(seed):
    mask = random_mask(seed, largest=9)
    np.testing.assert_array_equal(inside(mask), mask)


def test_square_has_four_points():
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:6] = True
    (outline,) = trace_outlines(mask)
    assert outline.corners.tolist() == [[2, 1], [6, 1], [6, 4], [2, 4]]
    assert outline.pixels.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]


def test_holes_one_below_the_other_in_one_polygon():
    mask = np.ones((12, 9), bool)
    mask[2:4, 3:6] = mask[6:8, 3:6] = mask[9, 4] = False
    (outline,) = trace_outlines(mask)
    assert len(outline.corners) >= 16
    np.testing.assert_array_equal(by_coco(mask), mask)
    np.testing.assert_array_equal(by_pil(outline.pixels, mask.shape), mask)


def test_pixels_that_touch_at_a_corner_are_two_parts():
    first, second = trace_outlines(np.eye(2, dtype=bool))
    assert first.pixels.tolist() == [[0, 0]] * 3
    assert second.corners.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_lines_have_three_points():
    (outline,) = trace_outlines(np.ones((1, 5), bool))
    assert outline.pixels.tolist() == [[0, 0], [4, 0], [4, 0]]


def test_no_pixel_no_outline():
    assert trace_outlines(np.zeros((3, 4), bool)) == []


def test_bridges_may_be_long():
    mask = np.zeros((66_000, 5), bool)
    mask[1:-1, 1:4] = True
    mask[60_000, 2] = False
    (outline,) = trace_outlines(mask)
    assert len(outline.corners) == 4 + 2 + 4
    x, y = outline.corners.astype(np.int64).T
    assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() == 2 * mask.sum()


def test_parts_are_joined_by_lines_where_they_are_closest():
    mask = np.zeros((9, 20), bool)
    mask[2:7, 1:5] = mask[2:8, 9:12] = mask[2, 16] = True
    whole = by_pil(join_parts([outline.pixels for outline in trace_outlines(mask)]), mask.shape)
    assert whole[mask].all()
    bridges = np.zeros_like(mask)
    bridges[2, 5:9] = bridges[2, 12:16] = True
    np.testing.assert_array_equal(whole, mask | bridges)


def test_one_part_is_joined_to_nothing():
    points = np.array([[0, 0], [3, 0], [3, 3]])
    assert join_parts([points]) is points
