import csv
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from irnet_pipe.data.synthetic import CLASS_NAMES, generate, make_scene
from irnet_pipe.errors import InputError


@pytest.fixture(scope="module", params=[0, 1])
def scenes(request):
    return [make_scene(index, seed=request.param, size=96) for index in range(320)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "set"
    generate(path, seed=3, images=20, size=64)
    return path


def siblings_touch(scene):
    """Whether two objects of one class share a border."""
    for number, class_id in enumerate(scene.class_ids, start=1):
        near = scene.instance_map[ndimage.binary_dilation(scene.instance_map == number)]
        if any(other not in (0, number) and scene.class_ids[other - 1] == class_id for other in near):
            return True
    return False


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


def labels_of(folder):
    with (folder / "image_labels.csv").open(encoding="utf-8", newline="") as file:
        return {row["image_id"]: row["labels"] for row in csv.DictReader(file)}


def test_objects_of_one_class_touch_in_a_third_of_the_images(scenes):
    assert np.mean([siblings_touch(scene) for scene in scenes]) >= 1 / 3


def test_a_tenth_shows_no_object(scenes):
    assert sum(not scene.class_ids for scene in scenes) == len(scenes) // 10


def test_sizes_span_two_octaves(scenes):
    lengths = [np.sqrt((s.instance_map == n + 1).sum()) for s in scenes for n in range(len(s.class_ids))]
    assert max(lengths) >= 4 * min(lengths)
    assert np.percentile(lengths, 98) >= 2.5 * np.percentile(lengths, 2)


def test_every_class_is_frequent(scenes):
    counts = np.bincount(
        [class_id for scene in scenes for class_id in scene.class_ids], minlength=len(CLASS_NAMES)
    )
    assert len(counts) == len(CLASS_NAMES) >= 4
    assert counts.min() >= 0.15 * counts.sum()


def test_every_object_is_visible_and_no_other(scenes):
    for scene in scenes:
        assert np.unique(scene.instance_map).tolist() == list(range(len(scene.class_ids) + 1))


def test_sides_vary_around_the_size(scenes):
    sides = np.array([scene.image.shape[:2] for scene in scenes])
    assert sides.min() >= 86
    assert sides.max() <= 106
    assert len(np.unique(sides)) > 15


def test_a_part_differs_from_the_body():
    """The part's contrast is what tells the class: strong edges lie on a minority of an object's pixels."""
    shares = []
    for index in range(0, 60, 2):
        scene = make_scene(index, seed=5)
        edges = ndimage.gaussian_gradient_magnitude(scene.image.astype(np.float32).mean(axis=2), 1.0)
        for number in range(1, len(scene.class_ids) + 1):
            inside = ndimage.binary_erosion(scene.instance_map == number, iterations=3)
            if inside.sum() > 200:
                shares.append((edges[inside] > 12).mean())
    assert 0.02 < np.median(shares) < 0.5


def test_lighting_and_noise_vary():
    scenes = [make_scene(index, seed=6) for index in range(9, 200, 10)]
    light = [scene.image.mean() for scene in scenes]
    assert np.std(light) > 10
    grain = [np.abs(np.diff(scene.image.astype(float), axis=1)).mean() for scene in scenes]
    assert max(grain) > 1.3 * min(grain)


def test_an_image_depends_on_seed_index_and_size_alone():
    scene, again = make_scene(7, seed=1), make_scene(7, seed=1)
    np.testing.assert_array_equal(scene.image, again.image)
    np.testing.assert_array_equal(scene.instance_map, again.instance_map)
    for other in (make_scene(8, seed=1), make_scene(7, seed=2)):
        assert other.image.shape != scene.image.shape or (other.image != scene.image).any()


def test_the_same_arguments_give_the_same_bytes(folder, tmp_path):
    generate(tmp_path, seed=3, images=20, size=64)
    assert bytes_of(tmp_path) == bytes_of(folder)


def test_an_interrupted_generation_leaves_no_folder(folder, tmp_path, monkeypatch):
    target = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr("irnet_pipe.data.synthetic.encode_png", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            generate(target, seed=3, images=20, size=64)
    assert not target.exists()
    generate(target, seed=3, images=20, size=64)
    assert bytes_of(target) == bytes_of(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_larger_set_begins_with_the_smaller(folder, tmp_path):
    generate(tmp_path, seed=3, images=22, size=64)
    large, small = bytes_of(tmp_path), bytes_of(folder)
    pictures = [path for path in small if path.suffix in (".jpg", ".png")]
    assert len(pictures) == 60
    assert all(large[path] == small[path] for path in pictures)
    assert list(labels_of(folder).items()) == list(labels_of(tmp_path).items())[:20]


def test_held_out_images_follow_those_of_training(folder, tmp_path):
    generate(tmp_path, seed=3, images=18, size=64, held_out=2)
    lists = [(tmp_path / "ImageSets" / f"{name}.txt").read_text().split() for name in ("train", "val")]
    assert [len(names) for names in lists] == [18, 2]
    assert labels_of(tmp_path) == labels_of(folder)
    assert [image_id for names in lists for image_id in names] == list(labels_of(folder))
    assert not (folder / "ImageSets" / "val.txt").exists()


def test_ground_truth_agrees_with_the_labels(folder):
    labels = labels_of(folder)
    assert (folder / "ImageSets" / "train.txt").read_text().split() == list(labels) and len(labels) == 20
    for image_id, joined in labels.items():
        photo = opened(folder / "JPEGImages" / f"{image_id}.jpg")
        classes = opened(folder / "SegmentationClass" / f"{image_id}.png")
        objects = opened(folder / "SegmentationObject" / f"{image_id}.png")
        assert photo.mode == "RGB" and classes.mode == objects.mode == "P"
        assert photo.size == classes.size == objects.size
        assert classes.getpalette()[3:6] == [128, 0, 0]
        class_map, object_map = np.array(classes), np.array(objects)
        present = [CLASS_NAMES[label - 1] for label in np.unique(class_map) if label]
        assert ";".join(present) == joined
        np.testing.assert_array_equal(class_map == 0, object_map == 0)
        for number in np.unique(object_map):
            assert len(np.unique(class_map[object_map == number])) == 1


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("images", 0), ("size", 47), ("held_out", -1)])
def test_a_value_out_of_bounds_is_named(tmp_path, name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        generate(tmp_path, **{"seed": 0, "images": 1, name: value})


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="no empty folder"):
        generate(tmp_path, seed=0, images=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
