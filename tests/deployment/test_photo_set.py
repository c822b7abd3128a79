"""Which photos a command line means, and the names of what is made of them."""

from __future__ import annotations

import os
import shutil

import pytest

from irnet_pipe.deployment.photo_set import PhotoSet, photo_set
from irnet_pipe.errors import InputError

ALL = ["100% turned.jpg", "grey.PNG", "seen through.png", "site 1/ä b.png", "site 2/ä b.png"]


def test_folders_are_searched_with_their_sub_folders(photos, tmp_path):
    found = photo_set([photos], skip=tmp_path)
    assert (found.base, found.names) == (photos.resolve(), ALL)


def test_hidden_files_and_the_folder_to_be_written_are_no_photos(photos, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "copy")
    (folder / "site 1" / ".hidden.png").write_bytes(b"")
    found = photo_set([folder], skip=folder / "site 2")
    assert found.names == ALL[:4]


def test_names_are_relative_to_the_nearest_common_folder(photos, tmp_path):
    folders = photo_set([photos / "site 1", photos / "site 2"], skip=tmp_path)
    assert (folders.base, folders.names) == (photos.resolve(), ALL[3:])
    files = photo_set([photos / "site 1" / "ä b.png"], skip=tmp_path)
    assert (files.base, files.names) == ((photos / "site 1").resolve(), ["ä b.png"])


def test_a_photo_named_twice_is_one(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos / "site 1")
    relative = [photos, photos / "grey.PNG", photos / "site 1", *map(type(photos), ["ä b.png", "../site 2"])]
    assert photo_set(relative, skip=tmp_path).names == ALL


def test_links_are_followed_to_the_folder_and_keep_their_name(photos, tmp_path):
    (tmp_path / "link").symlink_to(photos / "site 2")
    (tmp_path / "renamed.png").symlink_to(photos / "site 1" / "ä b.png")
    assert photo_set([tmp_path / "link"], skip=tmp_path).base == (photos / "site 2").resolve()
    assert photo_set([tmp_path / "renamed.png"], skip=tmp_path).names == ["renamed.png"]


def test_what_is_no_photo_is_told_all_at_once(photos, tmp_path):
    with pytest.raises(InputError) as caught:
        photo_set([photos / "notes.txt", tmp_path / "nowhere", photos], skip=tmp_path)
    ending, missing = caught.value.problems
    assert "notes.txt: no photo by its ending; photos end in .bmp, .jpeg" in ending
    assert "nowhere: no such file or folder" in missing
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no photo; endings of photos are \.bmp"):
        photo_set([tmp_path / "empty"], skip=tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_names_that_are_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    with pytest.raises(InputError, match="is not UTF-8; rename"):
        photo_set([tmp_path], skip=tmp_path / "out")
    with pytest.raises(InputError, match="is not UTF-8; rename it"):
        photo_set([tmp_path / os.fsdecode(b"\xff.png")], skip=tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b/a.jpg", "dot.in.name.png"], ["a.png", "b/a.png", "dot.in.name.png"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg.png", "a.png.png", "b.png.png"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg.png", "a.png.png", "a.jpg.png.png"]),
        (["a.jpg", "a.JPG"], ["a.jpg.png", "a.JPG.png"]),
    ],
)
def test_no_two_photos_share_a_picture(names, expected, tmp_path):
    photos = PhotoSet(tmp_path, names)
    assert [photos.output_name(name) for name in names] == expected
