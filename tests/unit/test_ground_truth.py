import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.ground_truth import CocoTruth, VocTruth, open_truth
from irnet_pipe.evaluation.polygon import polygon_runs
from irnet_pipe.export.voc import encode_png
from irnet_pipe.numerics.run_lengths import decode_rle

# pycocotools hands numpy an object whose __array__ knows no `copy`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

CLASSES = np.array([[0, 1, 1, 255], [0, 1, 2, 2], [0, 0, 255, 2]], dtype=np.uint8)
OBJECTS = np.array([[0, 3, 3, 255], [0, 3, 7, 7], [0, 0, 255, 7]], dtype=np.uint8)
SIZE = CLASSES.shape
NAMES = ["cat", "dog"]


@pytest.fixture
def voc(tmp_path):
    def make(classes=CLASSES, objects=OBJECTS, class_names=NAMES):
        (tmp_path / "c.png").write_bytes(encode_png(classes))
        (tmp_path / "o.png").write_bytes(encode_png(objects))
        return VocTruth({"a": (tmp_path / "c.png", tmp_path / "o.png")}, class_names=class_names)

    return make


def decoded(masks):
    return [decode_rle(runs, size=masks.size) for runs in masks.runs]


def test_voc_instances(voc):
    truth = voc().masks("a", size=SIZE)
    np.testing.assert_array_equal(decoded(truth), [OBJECTS == 3, OBJECTS == 7])
    assert truth.class_id.tolist() == [0, 1]


def test_voc_label_map_is_the_file(voc):
    truth = voc()
    np.testing.assert_array_equal(truth.label_map("a", size=SIZE), CLASSES)
    assert truth.void_label == 255


def test_voc_class_of_an_object_is_its_commonest_label(voc):
    classes = CLASSES.copy()
    classes[1, 2] = 1
    classes[2, 3] = 255
    classes[1, 3] = 1
    assert voc(classes).masks("a", size=SIZE).class_id.tolist() == [0, 0]


def test_voc_image_without_objects(voc):
    nothing = np.zeros(SIZE, dtype=np.uint8)
    truth = voc(nothing, nothing).masks("a", size=SIZE)
    assert not truth.runs
    assert truth.class_id.shape == (0,)


def test_voc_knows_its_images(voc):
    assert "a" in voc()
    assert "b" not in voc()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": CLASSES.T}, r"c\.png: ground truth has 4×3 pixels .* 3×4"),
        ({"objects": OBJECTS.T}, r"o\.png: ground truth has 4×3 pixels .* 3×4"),
        ({"class_names": ["cat"]}, r"c\.png: palette index 2, but 1 classes are named"),
        (
            {"objects": np.full(SIZE, 9, np.uint8), "classes": np.zeros(SIZE, np.uint8)},
            r"object 9 has no class in .*c\.png",
        ),
    ],
)
def test_voc_refuses(voc, change, message):
    with pytest.raises(InputError, match=message):
        voc(**change).masks("a", size=SIZE)


def test_voc_refuses_unreadable_files(voc, tmp_path):
    truth = voc()
    whole = (tmp_path / "o.png").read_bytes()
    for content in (whole[: len(whole) // 2], b"no picture"):
        (tmp_path / "o.png").write_bytes(content)
        with pytest.raises(InputError, match=r"o\.png: unreadable"):
            truth.masks("a", size=SIZE)
    (tmp_path / "o.png").unlink()
    with pytest.raises(InputError, match=r"o\.png: ground truth is missing"):
        truth.masks("a", size=SIZE)
    Image.new("RGB", (4, 3)).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"c\.png: is of mode RGB"):
        truth.label_map("a", size=SIZE)


BIG = [0, 0, 6, 0, 6, 5, 0, 5]
SMALL = [1, 1, 3, 1, 3, 3, 1, 3]


def annotation(number, segmentation, category=40, *, crowd=0, image=9):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "iscrowd": crowd,
    }


def rle(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}


@pytest.fixture
def coco(tmp_path):
    def make(*annotations, names=NAMES, **changes):
        content = {
            "images": [
                {"id": 9, "file_name": "x/a.jpg", "height": 5, "width": 6},
                {"id": 4, "file_name": "b.jpg", "height": 5, "width": 6},
            ],
            "categories": [{"id": 40, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 3, "name": "cow"}],
            "annotations": list(annotations),
        }
        (tmp_path / "truth.json").write_text(json.dumps(content | changes))
        return CocoTruth(tmp_path / "truth.json", {"a": "x/a.jpg"}, class_names=names)

    return make


def test_coco_polygons_and_both_kinds_of_rle(coco):
    mask = np.eye(5, 6, dtype=bool)
    runs = {"size": [5, 6], "counts": [5, 10, 15]}
    truth = coco(annotation(1, [SMALL]), annotation(2, rle(mask), 2), annotation(3, runs)).masks(
        "a", size=(5, 6)
    )
    assert truth.class_id.tolist() == [1, 0, 1]
    small, by_string, by_list = decoded(truth)
    assert np.argwhere(small).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    np.testing.assert_array_equal(by_string, mask)
    np.testing.assert_array_equal(by_list, np.isin(np.arange(6), [1, 2])[None].repeat(5, axis=0))


def test_coco_smaller_instance_is_on_top_and_crowds_are_void(coco):
    crowd = np.zeros((5, 6), dtype=bool)
    crowd[:3, :] = True
    left = np.zeros((5, 6), dtype=bool)
    left[:, :4] = True
    truth = coco(annotation(1, [SMALL], 2), annotation(2, rle(left)), annotation(3, rle(crowd), crowd=1))
    expected = np.where(left, 2, np.where(crowd, 255, 0))
    expected[1:3, 1:3] = 1
    np.testing.assert_array_equal(truth.label_map("a", size=(5, 6)), expected)
    instances = truth.masks("a", size=(5, 6))
    assert instances.class_id.tolist() == [0, 1, 1]
    assert instances.crowd.tolist() == [False, False, True]
    np.testing.assert_array_equal(decoded(instances)[1:], [left, crowd])


def test_coco_parts_of_an_instance_are_united(coco):
    [mask] = decoded(coco(annotation(1, [SMALL, BIG])).masks("a", size=(5, 6)))
    assert mask.all()


def test_coco_image_without_annotations_is_background(coco):
    truth = coco(annotation(1, [BIG], image=4))
    assert not truth.masks("a", size=(5, 6)).runs
    assert not truth.label_map("a", size=(5, 6)).any()
    assert "a" in truth
    assert "b" not in truth


def test_coco_with_more_than_254_classes_has_another_void_label(coco):
    names = [f"class {i}" for i in range(254)] + ["dog"]
    truth = coco(annotation(1, [BIG]), annotation(2, rle(np.ones((5, 6))), crowd=1), names=names)
    assert truth.void_label == 65535
    np.testing.assert_array_equal(truth.label_map("a", size=(5, 6)), np.full((5, 6), 255))


def test_coco_refuses_categories_without_class(coco):
    with pytest.raises(InputError, match=r"truth\.json: .* no class: 77, cow"):
        coco(annotation(1, [BIG], 3), annotation(2, [BIG], 77))


def test_coco_refuses_another_size(coco):
    with pytest.raises(InputError, match=r"image a: ground truth has 5×6 pixels .* 6×5"):
        coco().label_map("a", size=(6, 5))
    with pytest.raises(InputError, match=r"annotation 8: ground truth has 2×3 pixels"):
        coco(annotation(8, rle(np.ones((2, 3))))).masks("a", size=(5, 6))


@pytest.mark.parametrize("segmentation", [{"size": [5, 6], "counts": [5, 10]}, [[0, 0, 3, 0, 3]]])
def test_coco_refuses_masks_that_do_not_fit(coco, segmentation):
    with pytest.raises(InputError, match=r"truth\.json, annotation 8: segmentation cannot be used"):
        coco(annotation(8, segmentation)).masks("a", size=(5, 6))


def test_coco_refuses_what_is_no_instances_json(coco, tmp_path):
    with pytest.raises(InputError, match=r"truth\.json: not a COCO json .*id"):
        coco(categories=[{"name": "dog"}])
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(InputError, match=r"truth\.json: not a COCO json"):
        CocoTruth(tmp_path / "truth.json", {}, class_names=NAMES)


def test_open_truth_reads_lists_of_both_kinds(voc, coco, tmp_path):
    voc()
    coco(annotation(1, [BIG]))
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"kind": "voc", "images": {"a": {"class": "c.png", "object": "o.png"}}}))
    np.testing.assert_array_equal(
        open_truth(path, root=tmp_path, class_names=NAMES).label_map("a", size=SIZE), CLASSES
    )
    path.write_text(json.dumps({"kind": "coco", "file": "truth.json", "images": {"a": "x/a.jpg"}}))
    assert open_truth(path, root=tmp_path, class_names=NAMES).label_map("a", size=(5, 6)).min() == 2


@given(seed=st.integers(0, 2**32 - 1), whole=st.booleans())
@settings(deadline=None, max_examples=100)
def test_polygons_are_filled_as_pycocotools_does(seed, whole):
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 40, size=2))
    corners = rng.uniform(-8, [width + 8, height + 8], size=(rng.integers(3, 9), 2))
    polygon = (corners.round() if whole else corners).ravel().tolist()
    [encoded] = coco_mask.frPyObjects([polygon], height, width)
    np.testing.assert_array_equal(
        decode_rle(polygon_runs(polygon, size=(height, width)), size=(height, width)),
        coco_mask.decode(encoded),
    )
