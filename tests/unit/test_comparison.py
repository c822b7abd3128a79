"""COCO jsons and VOC folders against each other, by naive twins, by hand, and with all that may be wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from naive_scores import naive_ap, naive_iou
from random_coco import random_set, rle

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.comparison import compare, open_sources
from irnet_pipe.evaluation.score_sheet import score_sheet
from irnet_pipe.export.voc import encode_png
from irnet_pipe.numerics.run_lengths import decode_rle, decompress_rle

NAMES = ["cat", "dog"]
CLASSES = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [255, 0, 2, 2], [0, 0, 2, 2]], dtype=np.uint8)
OBJECTS = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [255, 0, 2, 2], [0, 0, 2, 2]], dtype=np.uint8)
CAT, DOG = CLASSES == 1, CLASSES == 2


def decoded(segmentation):
    return decode_rle(decompress_rle(segmentation["counts"]), size=tuple(segmentation["size"]))


@pytest.mark.parametrize("part", range(10))
def test_random_sets_against_naive_twins(part, tmp_path):
    for seed in range(20 * part, 20 * part + 20):
        check_against_naive_twins(seed, tmp_path)


def check_against_naive_twins(seed, folder):
    """VOC AP, and mIoU of what the two jsons paint."""
    truth_path, results_path = random_set(seed, folder)
    truth, results = json.loads(truth_path.read_text()), json.loads(results_path.read_text())
    predictions, ground_truth, labels = [], [], ([], [])
    for image in sorted(truth["images"], key=lambda image: image["id"]):
        found = [result for result in results if result["image_id"] == image["id"]]
        true = [annotation for annotation in truth["annotations"] if annotation["image_id"] == image["id"]]
        size = image["height"], image["width"]
        instances = [annotation for annotation in true if not annotation["iscrowd"]]
        predictions.append(as_instances(found) | {"score": [result["score"] for result in found]})
        ground_truth.append(as_instances(instances))
        labels[0].append(
            painted([r for r in found if r["score"] >= 0.5], size, key=lambda r, area: (r["score"], -area))
        )
        labels[1].append(painted(instances, size, key=lambda _, area: -area))
        for crowd in (annotation for annotation in true if annotation["iscrowd"]):
            labels[1][-1][(labels[1][-1] == 0) & decoded(crowd["segmentation"])] = 255
    scores = compare(*open_sources(results_path, truth_path))
    categories = [3, 7, 40, 90]
    for threshold, found in zip(scores.instances.voc.thresholds, scores.instances.voc.ap, strict=True):
        expected = [naive_ap(predictions, ground_truth, class_id=c, iou=threshold) for c in categories]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    expected = [naive_iou(*labels, label=label) for label in [0, *categories]]
    np.testing.assert_allclose(scores.semantic.iou.iou, expected, rtol=1e-12)


def as_instances(annotations):
    return {
        "masks": [decoded(annotation["segmentation"]) for annotation in annotations],
        "class_id": [annotation["category_id"] for annotation in annotations],
    }


def painted(annotations, size, *, key):
    labels = np.zeros(size, dtype=np.int64)
    masks = [(annotation, decoded(annotation["segmentation"])) for annotation in annotations]
    for annotation, mask in sorted(masks, key=lambda pair: key(pair[0], pair[1].sum())):
        labels[mask] = annotation["category_id"]
    return labels


@pytest.fixture
def write(tmp_path):
    def write(name, content) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            path.write_bytes(encode_png(content))
        else:
            path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def voc(write, tmp_path):
    def voc(folder="voc", classes=CLASSES, objects=OBJECTS, name="a"):
        write(f"{folder}/SegmentationClass/{name}.png", classes)
        if objects is not None:
            write(f"{folder}/SegmentationObject/{name}.png", objects)
        return tmp_path / folder

    return voc


def annotation(mask, category=8, *, image=5, **more):
    return {"id": 1, "image_id": image, "category_id": category, "segmentation": rle(mask), **more}


def coco(*annotations, names=("cat", "dog"), file_name="photos/a.jpg", size=(4, 4)):
    """Categories 8, 9, …; one image, 5."""
    return {
        "images": [{"id": 5, "file_name": file_name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 8 + i, "name": name} for i, name in enumerate(names)],
        "annotations": list(annotations),
    }


TRUTH = coco(annotation(CAT), annotation(DOG, 9))
GOOD = [annotation(CAT, score=0.9), annotation(DOG, 9, score=0.8)]


def sheet_of(predictions, truth, **options):
    return score_sheet(compare(*open_sources(predictions, truth, **options)))


def test_every_pair_of_formats(write, voc):
    truths = {write("truth.json", TRUTH): {}, voc("true"): {"class_names": NAMES}}
    shifted = [good | {"category_id": good["category_id"] + 1} for good in GOOD[::-1]]
    objects = coco(*shifted, names=("cow", "cat", "dog"), file_name="a.png")
    predicted = [
        (write("results.json", GOOD), {"names": write("names.json", coco())}),
        (write("masks.json", objects), {}),
        (voc("found", CLASSES % 255), {}),  # a predicted void would be a wrong label
    ]
    for truth, truth_options in truths.items():
        for path, options in predicted:
            sheet = sheet_of(path, truth, **options, **truth_options)
            figures = [sheet["VOC"]["AP75"], sheet["COCO"]["AP50:95"], sheet["semantic"]["mIoU"]]
            assert [figure["mean"] for figure in figures] == pytest.approx([1, 1, 1]), path
            assert list(sheet["COCO"]["AP50"]["classes"]) == NAMES


def test_ids_of_results_are_those_of_the_ground_truth(write, voc):
    assert sheet_of(write("r.json", GOOD), write("t.json", TRUTH))["VOC"]["AP50"]["mean"] == 1
    by_name = [annotation(CAT, 1, image="a", score=1), annotation(DOG, 2, image="a", score=1)]
    assert sheet_of(write("r.json", by_name), voc(), class_names=NAMES)["VOC"]["AP50"]["mean"] == 1


def test_four_by_four(write):
    half = CAT & (np.arange(4) < 1)  # IoU .5 with the cat
    results = [
        annotation(half, score=0.9),
        annotation(CAT, score=0.8),
        annotation(DOG, 8, score=0.7),
    ]
    sheet = sheet_of(write("r.json", results), write("t.json", TRUTH))
    assert sheet["VOC"]["AP50"]["classes"] == {"cat": 1.0, "dog": 0.0}
    assert sheet["VOC"]["AP75"]["classes"] == {"cat": 0.5, "dog": 0.0}
    # COCO: the half takes the cat at .5 alone.
    assert sheet["COCO"]["AP50:95"]["classes"]["cat"] == pytest.approx(0.1 * 1 + 0.9 * 0.5)
    assert {kind: counts["total"] for kind, counts in sheet["TIDE"].items()} == {
        **dict.fromkeys(["location", "background", "both", "missed"], 0),
        **dict.fromkeys(["class", "duplicate"], 1),
    }
    # Painted: all four pixels of the cat, and those of the dog as cat.
    assert sheet["semantic"]["mIoU"]["classes"] == {"background": 1.0, "cat": 0.5, "dog": 0.0}
    assert sheet["semantic"]["confusion"]["pixels"] == [[8, 0, 0, 0], [0, 4, 0, 0], [0, 4, 0, 0]]


def test_unsure_instances_are_not_painted(write):
    results, truth = write("r.json", [annotation(CAT, score=0.4)]), write("t.json", TRUTH)
    assert sheet_of(results, truth)["semantic"]["mIoU"]["classes"]["cat"] == 0
    assert sheet_of(results, truth, min_score=0.4)["semantic"]["mIoU"]["classes"]["cat"] == 1


def test_void_of_a_voc_folder_does_not_count(voc):
    prediction = CLASSES.copy()
    prediction[2, 0] = 1
    sheet = sheet_of(voc("found", prediction, None), voc(), class_names=NAMES)
    assert sheet["semantic"]["mIoU"]["mean"] == 1
    assert "VOC" not in sheet and "instances are not compared" in sheet["notes"][0]


def test_images_of_400_instances(write):
    masks = np.eye(400, dtype=bool).reshape(400, 20, 20)
    truth = coco(*(annotation(mask) for mask in masks), size=(20, 20))
    results = [annotation(mask, score=1 - i / 1000) for i, mask in enumerate(masks)]
    sheet = sheet_of(write("r.json", results), write("t.json", truth), min_score=0)
    assert sheet["VOC"]["AP50"]["classes"]["cat"] == 1
    # COCO looks at the best 100: a quarter of the instances, and 26 of 101 recalls from 0 to .25
    assert sheet["COCO"]["AP50"]["classes"]["cat"] == pytest.approx(26 / 101)
    assert sheet["semantic"]["mIoU"]["classes"]["cat"] == 1


def test_ties_are_told(write):
    results = [annotation(DOG, score=0.5), annotation(CAT, score=0.5)]
    sheet = sheet_of(write("r.json", results), write("t.json", TRUTH))
    cat = sheet["VOC"]["AP50"]
    assert (cat["worst"], cat["mean"], cat["best"]) == (0.25, 0.25, 0.5)
    [note] = sheet["notes"]
    assert "equal score" in note and "VOC AP50 by 25.0" in note and "COCO AP50 by 25" in note


def test_images_of_one_side_alone(write):
    truth = coco(annotation(CAT))
    truth["images"].append({"id": 6, "file_name": "b.jpg", "height": 4, "width": 4})
    truth["annotations"].append(annotation(CAT, image=6))
    truth, results = write("t.json", truth), [annotation(CAT, score=1)]
    sheet = sheet_of(write("r.json", results), truth)
    assert sheet["VOC"]["AP50"]["mean"] == 0.5
    assert sheet["notes"] == ["1 images have no prediction; they count as empty"]
    results = write("r.json", [*results, annotation(CAT, image=77, score=1)])
    with pytest.raises(
        InputError, match=r"r\.json: predictions for 1 images that are not in .*t\.json \(77; .*--subset"
    ):
        open_sources(results, truth)
    sheet = sheet_of(results, truth, subset=True)
    assert sheet["VOC"]["AP50"]["mean"] == 0.5
    assert sheet["predicted_images_left_out"] == 1
    with pytest.raises(InputError, match="not in"):
        open_sources(write("r.json", [annotation(CAT, image=77, score=1)]), truth, subset=True)


def test_predicted_pngs_of_other_images(voc):
    truth = voc("true")
    voc("found", name="b")
    with pytest.raises(InputError, match=r"found: predictions for 1 images .* \(b; there: a"):
        open_sources(voc("found", name="deeper/a"), truth)
    sheet = sheet_of(voc("found", name="deeper/a"), truth, subset=True)
    assert sheet["semantic"]["mIoU"]["mean"] == 1


def test_pngs_that_are_not_predicted(voc):
    """They count as background."""
    truth = voc("true")
    voc("true", name="b")
    sheet = sheet_of(voc("found", CLASSES % 255), truth, class_names=NAMES)
    assert sheet["notes"][0] == "1 images have no prediction; they count as empty"
    # half of the cats and of the dogs, and the 7 pixels of background beside all that are none
    assert sheet["semantic"]["mIoU"]["classes"] == pytest.approx(
        {"background": 14 / 22, "cat": 0.5, "dog": 0.5}
    )
    assert sheet["VOC"]["AP50"]["classes"] == {"cat": 0.5, "dog": 0.5}


@pytest.mark.parametrize(
    ("results", "truth", "message"),
    [
        (
            [annotation(CAT, 10, score=1)],
            TRUTH,
            r"r\.json: category_id 10 is not in .*t\.json \(there: 8 cat, 9 dog\); .*--names",
        ),
        (
            coco(annotation(CAT, score=1), names=("Cat",)),
            TRUTH,
            r"r\.json: categories that .*t\.json does not have: 'Cat' \(there: cat, dog\); write both names alike",
        ),
        (
            coco(annotation(CAT, score=1), file_name="x.jpg"),
            TRUTH,
            r"none of its images is in .*'x'.*'photos/a'",
        ),
        (coco(annotation(CAT, 3, score=1)), TRUTH, r"r\.json: category_id 3 is not in .*r\.json"),
        (coco(annotation(CAT, image=3, score=1)), TRUTH, r"r\.json: image_id 3 is not in .*r\.json"),
        ([annotation(CAT)], TRUTH, r"r\.json: a result of image 5 has the score None"),
        ([annotation(CAT, score="1")], TRUTH, r"has the score '1'"),
        ([annotation(CAT, score=float("nan"))], TRUTH, r"has the score nan"),
        ([annotation(CAT[:3], score=1)], TRUTH, r"r\.json, annotation 1 of image 5: .*3×4 pixels .*4×4"),
        ([annotation(CAT, score=1) | {"segmentation": {"size": [4, 4], "counts": "1o"}}], TRUTH, r"cut off"),
        (
            [annotation(CAT, score=1) | {"segmentation": {"size": [4, 4], "counts": "11"}}],
            TRUTH,
            r"counts sum to 2",
        ),
        (
            [annotation(CAT, score=1) | {"segmentation": {"size": [4, 4], "counts": [20, -4]}}],
            TRUTH,
            r"counts that",
        ),
        ([annotation(CAT, score=1) | {"segmentation": {"size": [4, 4]}}], TRUTH, r"neither polygons nor"),
        (
            [annotation(CAT, score=1) | {"segmentation": [[0, 0, 3, 0, "x", 3]]}],
            TRUTH,
            r"segmentation cannot be used",
        ),
        ([annotation(CAT, score=1) | {"segmentation": [[0, 0, 3, 0, 1e9, 3]]}], TRUTH, r"beyond ±100000"),
        ([{"image_id": 5, "category_id": 8, "score": 1, "bbox": [0, 0, 2, 2]}], TRUTH, r"boxes alone"),
        (
            [{"image_id": 5, "score": 1}],
            TRUTH,
            r"r\.json: an entry of the list at byte 1 has no 'category_id'",
        ),
        ([{"image_id": None, "category_id": 8}], TRUTH, r"r\.json: an entry .* \(image_id is None"),
        ([7], TRUTH, r"r\.json: an entry of the list at byte 1 is not COCO's"),
        ({"images": []}, TRUTH, r"r\.json: no COCO json"),
        (GOOD, GOOD, r"t\.json: ground truth must name its images"),
        (GOOD, coco(annotation(CAT, 80)), r"t\.json: category_id 80 is not in"),
        (GOOD, coco(annotation(CAT, image=50)), r"t\.json: image_id 50 is not in"),
    ],
)
def test_bad_files(results, truth, message, write):
    with pytest.raises(InputError, match=message):
        sheet_of(write("r.json", results), write("t.json", truth))


def test_bad_folders(voc, write, tmp_path):
    truth = voc("true")
    with pytest.raises(
        InputError, match=r"found, image a: has 4×3 pixels \(height×width\), the ground truth 4×4"
    ):
        sheet_of(voc("found", CLASSES[:, :3], OBJECTS[:, :3]), truth)
    with pytest.raises(
        InputError, match=r"SegmentationObject/a\.png: has 4×3 pixels, the PNG of classes 4×4"
    ):
        sheet_of(voc("found", CLASSES, OBJECTS[:, :3]), truth)
    (voc("found") / "SegmentationObject/a.png").unlink()
    with pytest.raises(InputError, match=r"SegmentationObject/a\.png: no such file"):
        sheet_of(tmp_path / "found", truth)
    with pytest.raises(InputError, match=r"palette index 2, but 1 classes are named"):
        sheet_of(voc("found"), truth, class_names=["cat"])
    (tmp_path / "empty/SegmentationObject").mkdir(parents=True)
    with pytest.raises(InputError, match=r"empty: has SegmentationObject, but no SegmentationClass"):
        open_sources(tmp_path / "empty", truth)
    (tmp_path / "empty/SegmentationObject").rmdir()
    with pytest.raises(InputError, match=r"empty: has no PNG"):
        open_sources(tmp_path / "empty", truth)
    with pytest.raises(InputError, match=r"nowhere: no such file"):
        open_sources(tmp_path / "nowhere", truth)
    with pytest.raises(InputError, match=r"t\.json: names its classes itself"):
        open_sources(truth, write("t.json", TRUTH), class_names=NAMES)
