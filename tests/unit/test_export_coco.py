import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from irnet_pipe.export.coco import CocoImage, CocoInstance, rle_bounding_box, write_coco
from irnet_pipe.numerics.run_lengths import encode_rle

# pycocotools hands numpy an object whose __array__ knows no `copy`.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

NAMES = ["cat", "dögs & <cows>"]
IMAGES = [CocoImage("a.jpg", 6, 5), CocoImage("sub/ü b.png", 4, 7), CocoImage("c.jpg", 3, 3)]


def block(height, width, rows, columns):
    mask = np.zeros((height, width), dtype=bool)
    mask[rows, columns] = True
    return mask


MASKS = [
    [block(6, 5, slice(1, 4), slice(0, 2)), block(6, 5, slice(0, 6), slice(3, 5))],
    [],
    [block(3, 3, slice(2, 3), slice(1, 3))],
]
INSTANCES = [
    [
        CocoInstance(encode_rle(mask), class_id=i % 2, score=np.float32(0.9 - 0.1 * i))
        for i, mask in enumerate(of_image)
    ]
    for of_image in MASKS
]


def written(images=IMAGES, instances=INSTANCES):
    stream = io.StringIO()
    n_annotations = write_coco(stream, images, iter(instances), class_names=NAMES, description="test")
    return stream.getvalue(), n_annotations


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "masks.json"
    path.write_text(written()[0])
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


def test_ids_start_at_one_and_are_unique_over_the_file():
    text, n_annotations = written()
    content = json.loads(text)
    assert n_annotations == 3
    assert [image["id"] for image in content["images"]] == [1, 2, 3]
    assert [a["id"] for a in content["annotations"]] == [1, 2, 3]
    assert [a["image_id"] for a in content["annotations"]] == [1, 1, 3]
    assert [a["category_id"] for a in content["annotations"]] == [1, 2, 1]
    assert [(c["id"], c["name"]) for c in content["categories"]] == [(1, "cat"), (2, "dögs & <cows>")]


def test_facts_of_images_and_annotations():
    content = json.loads(written()[0])
    assert content["images"][1] == {"id": 2, "file_name": "sub/ü b.png", "height": 4, "width": 7}
    first, second, third = content["annotations"]
    assert (first["area"], first["bbox"], first["iscrowd"]) == (6, [0, 1, 2, 3], 0)
    assert (second["area"], second["bbox"], second["score"]) == (12, [3, 0, 2, 6], 0.8)
    assert third["bbox"] == [1, 2, 2, 1]
    assert isinstance(third["segmentation"]["counts"], str)


def test_pycocotools_decodes_the_same_masks(dataset):
    for number, of_image in enumerate(MASKS, start=1):
        annotations = dataset.loadAnns(dataset.getAnnIds(imgIds=[number]))
        assert len(annotations) == len(of_image)
        for annotation, mask in zip(annotations, of_image, strict=True):
            np.testing.assert_array_equal(dataset.annToMask(annotation), mask)
            assert annotation["area"] == coco_mask.area(annotation["segmentation"])
            assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()


def test_pycocotools_loads_the_annotations_as_results_and_evaluates_them(dataset):
    with contextlib.redirect_stdout(io.StringIO()):
        results = dataset.loadRes(json.loads(written()[0])["annotations"])
        evaluation = COCOeval(dataset, results, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_set_without_images_or_masks_is_valid():
    for images, instances in (([], []), (IMAGES, [[], [], []])):
        text, n_annotations = written(images, instances)
        assert json.loads(text)["annotations"] == []
        assert n_annotations == 0


def test_equal_input_gives_equal_text():
    assert written() == written()


def test_instances_are_taken_image_by_image():
    taken = []

    def instances():
        for number in range(3):
            taken.append(number)
            yield INSTANCES[number]

    class Stream(io.StringIO):
        def write(self, text):
            if '"image_id": 1,' in text:
                assert taken == [0]
            return super().write(text)

    write_coco(Stream(), IMAGES, instances(), class_names=NAMES, description="")
    assert taken == [0, 1, 2]


def test_instances_for_fewer_images_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        written(IMAGES, INSTANCES[:2])


@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.02, 0.3, 0.97]))
@settings(deadline=None, max_examples=50)
def test_bounding_box_agrees_with_pycocotools(seed, share):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 9, size=2)
    mask = rng.random((height, width)) < share
    expected = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))))
    if not mask.any():
        expected = np.zeros(4)
    assert rle_bounding_box(encode_rle(mask), height=int(height)) == expected.tolist()
