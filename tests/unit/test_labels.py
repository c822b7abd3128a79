from __future__ import annotations

import json
from pathlib import Path

import pytest

from irnet_pipe.config import Dataset
from irnet_pipe.data.labels import locate, read_labels
from irnet_pipe.data.labels.classes import order_classes
from irnet_pipe.data.labels.coco import read_coco
from irnet_pipe.data.labels.table import read_table
from irnet_pipe.data.labels.voc import read_annotation, read_annotations
from irnet_pipe.data.photo_files import find_photos
from irnet_pipe.data.problems import SHOWN, Problems
from irnet_pipe.data.scan import StatCache
from irnet_pipe.errors import InputError


def table(
    tmp_path: Path, text: str, name: str = "labels.csv", **settings: object
) -> dict[str, tuple[str, ...]]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_table(path, **settings)  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    return StatCache(tmp_path / "results" / "digests.json")


XML = """<annotation><filename>a.jpg</filename>{objects}</annotation>"""
PERSON = "<object><name>person</name><difficult>1</difficult><part><name>head</name></part></object>"
DOG = "<object><name> dog </name></object>"


class TestVoc:
    def test_direct_names_alone_difficult_included(self, tmp_path: Path) -> None:
        path = tmp_path / "a.xml"
        path.write_text(XML.format(objects=PERSON + DOG + PERSON))
        assert read_annotation(path) == ("person", "dog")

    def test_no_object_is_a_negative(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text(XML.format(objects=""))
        assert read_annotation(tmp_path / "a.xml") == ()

    def test_sub_folders_and_changes(self, tmp_path: Path, cache: StatCache) -> None:
        folder = tmp_path / "Annotations"
        (folder / "sub.dir").mkdir(parents=True)
        path = folder / "sub.dir" / "ä b.XML"
        path.write_text(XML.format(objects=DOG))
        problems = Problems()
        assert read_annotations(folder, cache=cache, problems=problems) == {"sub.dir/ä b": ("dog",)}
        path.write_text(XML.format(objects=DOG + PERSON))
        assert read_annotations(folder, cache=cache, problems=problems) == {"sub.dir/ä b": ("dog", "person")}
        assert problems.messages == []

    def test_all_unreadable_files_are_told(self, tmp_path: Path, cache: StatCache) -> None:
        for name in "abc":
            (tmp_path / f"{name}.xml").write_text("" if name != "b" else XML.format(objects=DOG))
        problems = Problems()
        assert read_annotations(tmp_path, cache=cache, problems=problems)["b"] == ("dog",)
        assert len(problems.messages) == 2


class TestTable:
    @pytest.mark.parametrize("joiner", [";", "|", ",", " ", "; ", " | "])
    def test_row_an_image(self, tmp_path: Path, joiner: str) -> None:
        text = f'image_id,labels\na,"cat{joiner}dog"\nb,dog\nc,\nd,cat\n'
        assert table(tmp_path, text) == {"a": ("cat", "dog"), "b": ("dog",), "c": (), "d": ("cat",)}

    def test_a_semicolon_in_every_cell_leaves_other_marks_to_the_names(self, tmp_path: Path) -> None:
        text = 'image,labels\na,"car, red;"\nb,x|y;traffic light\nc,\n'
        assert table(tmp_path, text) == {"a": ("car, red",), "b": ("x|y", "traffic light"), "c": ()}

    def test_tabs_semicolons_byte_order_mark_and_windows_lines(self, tmp_path: Path) -> None:
        expected = {"a b": ("cat", "dog"), "ü": ("dog",)}
        assert table(tmp_path, "photo\tlabels\r\na b\tcat,dog\r\nü\tdog\r\n", "l.tsv") == expected
        assert table(tmp_path, "\ufeffimage;label\na b;cat|dog\nü;dog\n") == expected

    def test_row_a_label(self, tmp_path: Path) -> None:
        text = "image,x,class\na,1,traffic light\nb,7,cat\na,9,cat\na,3,cat\n"
        assert table(tmp_path, text) == {"a": ("traffic light", "cat"), "b": ("cat",)}

    def test_one_hot(self, tmp_path: Path) -> None:
        text = "filename,cat,traffic light\na.jpg,1,0\nb.jpg,0,\nc.jpg,True,1.0\n"
        assert table(tmp_path, text) == {"a.jpg": ("cat",), "b.jpg": (), "c.jpg": ("cat", "traffic light")}

    def test_one_hot_of_a_single_class(self, tmp_path: Path) -> None:
        assert table(tmp_path, "image,cat\na,1\nb,0\n") == {"a": ("cat",), "b": ()}

    def test_unknown_name_of_the_only_other_column(self, tmp_path: Path) -> None:
        assert table(tmp_path, "image,animal\na,cat\nb,dog\n") == {"a": ("cat",), "b": ("dog",)}

    def test_spaces_are_one_label_or_two(self, tmp_path: Path) -> None:
        text = "image,labels\na,traffic light\nb,car\n"
        with pytest.raises(
            InputError, match=r"'traffic light' may be one label or several; .*dataset\.classes"
        ):
            table(tmp_path, text)
        assert table(tmp_path, text, classes=("car", "traffic light"))["a"] == ("traffic light",)
        assert table(tmp_path, text, classes=("car", "light", "traffic"))["a"] == ("traffic", "light")
        assert table(tmp_path, "image,labels\na,traffic light;\nb,car\n")["a"] == ("traffic light",)

    def test_all_problems_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as error:
            table(tmp_path, "image,cat,dog\na,1,2\nb,?,0\na,1,1\n")
        assert len(error.value.problems) == 3


def coco_json() -> dict[str, object]:
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 20, "width": 30},
            {"id": 2, "file_name": "sub/b.jpg", "height": 20, "width": 30},
        ],
        "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "traffic light"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 9},
            {"id": 2, "image_id": 7, "category_id": 3, "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 9},
        ],
    }


class TestCoco:
    def test_labels_sizes_and_categories(self, tmp_path: Path, cache: StatCache) -> None:
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(coco_json()))
        for _ in range(2):  # the second time from the cache
            found = read_coco(path, cache=cache)
            assert found.classes == ("traffic light", "dog")
            assert found.labels == {"a.jpg": ("traffic light", "dog"), "sub/b.jpg": ()}
            assert found.sizes == {"a.jpg": (20, 30), "sub/b.jpg": (20, 30)}
            cache.save()
            cache = StatCache(tmp_path / "results" / "digests.json")


class TestLayout:
    def touch(self, root: Path, *names: str) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"")

    @pytest.mark.parametrize(
        ("files", "layout"),
        [
            (("JPEGImages/a.jpg", "Annotations/a.xml"), ("voc", "JPEGImages", "Annotations")),
            (("images/a.jpg", "annotations.json"), ("coco", "images", "annotations.json")),
            (("a.jpg", "labels.csv"), ("csv", ".", "labels.csv")),
            (("images/a.jpg", "image_labels.tsv"), ("csv", "images", "image_labels.tsv")),
            (("cat/a.jpg", "dog/b.png"), ("folders", ".", ".")),
        ],
    )
    def test_auto(self, tmp_path: Path, files: tuple[str, ...], layout: tuple[str, str, str]) -> None:
        self.touch(tmp_path, *files)
        found = locate(Dataset(), tmp_path)
        assert (found.format, found.photos, found.labels) == (
            layout[0],
            tmp_path / layout[1],
            tmp_path / layout[2],
        )

    def test_two_kinds_of_labels_are_refused_unless_one_is_named(self, tmp_path: Path) -> None:
        self.touch(tmp_path, "JPEGImages/a.jpg", "Annotations/a.xml", "labels.csv")
        with pytest.raises(
            InputError, match=r"Annotations \(voc\) and labels.csv \(csv\); set dataset.labels"
        ):
            locate(Dataset(), tmp_path)
        assert locate(Dataset(labels="labels.csv"), tmp_path).format == "csv"
        assert locate(Dataset(format="voc"), tmp_path).labels == tmp_path / "Annotations"

    @pytest.mark.parametrize(
        "dataset",
        [
            Dataset(),
            Dataset(format="csv"),
            Dataset(labels="no.csv"),
            Dataset(photos="no", format="folders"),
            Dataset(labels="odd.name"),
            Dataset(labels="odd.name", format="voc"),
            Dataset(labels="folder", format="coco"),
        ],
    )
    def test_what_cannot_be_found_is_named(self, tmp_path: Path, dataset: Dataset) -> None:
        self.touch(tmp_path, "images/a.jpg", "odd.name", "folder/a.xml")
        with pytest.raises(InputError, match=r"(set|expects) "):
            locate(dataset, tmp_path)

    def test_folder_per_class(self, tmp_path: Path, cache: StatCache) -> None:
        self.touch(tmp_path, "cat/a.jpg", "traffic light/sub/b.png", "c.jpg", ".hidden/d.jpg")
        layout = locate(Dataset(format="folders"), tmp_path)
        photos, problems = find_photos(layout.photos, root=tmp_path, skip=[]), Problems()
        labels = read_labels(layout, photos=photos, classes=None, cache=cache, problems=problems)
        assert labels.names == {"cat/a": ("cat",), "traffic light/sub/b": ("traffic light",)}
        assert set(photos.files) == {"cat/a", "traffic light/sub/b", "c"}


def test_names_of_images_are_resolved(tmp_path: Path, cache: StatCache) -> None:
    photos = tmp_path / "images"
    (photos / "sub.x").mkdir(parents=True)
    for name in ("a.jpg", "sub.x/b c.JPEG", "é.png", "d.jpg.png", "d.bmp", "e.txt"):
        (photos / name).write_bytes(b"")
    found = find_photos(photos, root=tmp_path, skip=[])
    assert {
        text: found.resolve(text) for text in ("a", "a.jpg", "./a", "images/a.jpg", "a.PNG", "b c", "e.txt")
    } == {
        "a": "a",
        "a.jpg": "a",
        "./a": "a",
        "images/a.jpg": "a",
        "a.PNG": "a",
        "b c": None,
        "e.txt": None,
    }
    assert found.resolve("sub.x/b c.JPEG") == "sub.x/b c"
    assert found.resolve("é") == "é"
    assert (found.resolve("d.jpg"), found.resolve("d.bmp")) == ("d.jpg", "d")


def test_order_of_classes() -> None:
    assert order_classes({"dog", "cat"}, given=("dog", "cow", "cat"), source_order=("x",)) == (
        "dog",
        "cow",
        "cat",
    )
    assert order_classes({"dog"}, given=None, source_order=("b", "a")) == ("b", "a")
    assert order_classes({"tvmonitor", "dog"}, given=None, source_order=None) == ("dog", "tvmonitor")
    assert order_classes({"dog", "ant"}, given=None, source_order=None) == ("ant", "dog")


def test_many_problems_of_a_kind_are_cut_short() -> None:
    problems = Problems()
    for number in range(SHOWN + 17):
        problems.add("odd things", f"thing {number}")
    problems.add("other things", "one")
    assert len(problems.messages) == SHOWN + 2
    assert problems.messages[SHOWN:] == ["… and 17 more odd things", "one"]
