import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from irnet_pipe.errors import InputError
from irnet_pipe.export.voc import encode_png, object_map, painting_order, voc_palette, write_tar


def test_palette_has_the_colours_of_the_development_kit():
    palette = voc_palette()
    expected = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
    }
    assert {label: tuple(palette[label]) for label in expected} == expected
    assert tuple(palette[255]) == (224, 224, 192)
    assert len(np.unique(palette, axis=0)) == 256


def test_png_holds_labels_as_palette_indices():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with Image.open(io.BytesIO(encode_png(labels))) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[labels])


def test_equal_labels_give_equal_bytes():
    labels = np.eye(7, 5, dtype=np.uint8)
    assert encode_png(labels) == encode_png(labels.copy(order="F"))


def test_smaller_instances_are_on_top():
    small = np.zeros((3, 4), dtype=bool)
    small[1, 1] = True
    left = np.zeros((3, 4), dtype=bool)
    left[:, :2] = True
    objects = object_map([small, left], size=(3, 4))
    np.testing.assert_array_equal(objects, [[2, 2, 0, 0], [2, 1, 0, 0], [2, 2, 0, 0]])
    assert objects.dtype == np.uint8


def test_no_instances_are_background():
    np.testing.assert_array_equal(object_map([], size=(2, 3)), np.zeros((2, 3)))


def test_painting_order_keeps_the_order_of_equal_sizes():
    assert painting_order(np.array([[[1, 0]], [[1, 1]], [[0, 1]]], dtype=bool)).tolist() == [1, 0, 2]


def test_254_instances_fit_and_255_do_not():
    masks = np.eye(255, dtype=bool)[:, None, :]
    np.testing.assert_array_equal(object_map(masks[:254], size=(1, 255))[0, :254], np.arange(1, 255))
    with pytest.raises(InputError, match=r"255 instances .* holds 254 at most"):
        object_map(masks, size=(1, 255))


def test_tar_is_readable_and_depends_on_its_members_alone():
    members = [("SegmentationClass/a b.png", b"one"), (f"SegmentationObject/{'ü' * 200}.png", b"")]

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    streams = Pipe(), io.BytesIO()
    for stream in streams:
        write_tar(stream, iter(members))
    assert streams[0].getvalue() == streams[1].getvalue()
    with tarfile.open(fileobj=streams[1].__class__(streams[1].getvalue())) as archive:
        assert [(entry.name, archive.extractfile(entry).read()) for entry in archive] == members
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in archive} == {
            (0, 0, 0, "", 0o644)
        }
