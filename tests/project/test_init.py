"""`init`: what it finds, assumes and writes; the index then reads the same labels from the new folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import yaml
from PIL import Image

from irnet_pipe.cli.main import main
from irnet_pipe.config import load_config
from irnet_pipe.data.photo_files import find_photos
from irnet_pipe.errors import InputError
from irnet_pipe.index import build_index
from irnet_pipe.project.create import create_project
from irnet_pipe.project.found_labels import PhotoNames
from irnet_pipe.project.schedule import cpu

LABELS = {"sub dir/ä b": ("cat", "wild dog"), "c": ("wild dog",), "d": (), "e": ("cat",)}
CLASSES = ("cat", "wild dog")
MACHINE = cpu(8 << 30)


def photo(path: Path, seed: int, size: tuple[int, int] = (24, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    for seed, image_id in enumerate(LABELS):
        photo(folder / f"{image_id}.png", seed)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def init(photos: Path, labels: Path | None = None, **options: Any) -> tuple[Path, str]:
    """Folder made, and what was told."""
    given = {"to": None, "force": False, "machine": MACHINE, "overrides": {}, **options}
    made = create_project(photos, labels, **given)
    return made.folder, "\n".join(made.lines)


def index_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(folder)
    return build_index(load_config(Path("config.yaml")), results=Path("results"))


def labels_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...] | None]:
    index = index_of(folder, monkeypatch)
    return {
        entry.image_id: None if entry.labels is None else tuple(index.classes[i] for i in entry.labels)
        for entry in index.label
    }


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content.encode(encoding))


JOINED = "Datei;Klassen\nsub dir/ä b.png;cat, wild dog\nc.png;wild dog\nd.png;\ne.png;cat,\n"
LONG = "file\tclass\tx\nä b.png\tcat\t1\nä b.png\twild dog\t5\nc.png\twild dog\t7\nd.png\t\t\ne.png\tcat\t2\n"
ONE_HOT = 'id,cat,wild dog,width\n"C:\\x\\ä b.png",1,1,32\nc,0,1,32\nd,0,0,32\ne,1,0,32\n'
CROSSES = "Bild,cat,wild dog,Kommentar\nä b.png,x,✓,gut\nc,,X,\nd,-,,gut\ne,✔,-,\n"
LISTS = 'img,tag\nä b,"[\'cat\', \'wild dog\']"\nc,"[""wild dog""]"\nd,[]\ne,[\'cat\']\n'
HEADLESS = "sub dir/ä b,cat|wild dog\nc,wild dog\nd,\ne,cat\n"
TABLES = {
    "joined.csv": text(JOINED, "cp1252"),
    "joined 8.csv": text(JOINED, "utf-8-sig"),
    "joined 16.csv": text(JOINED, "utf-16"),
    "no mark.csv": text(JOINED, "utf-16-le"),
    "long.tsv": text(LONG),
    "crosses.csv": text(CROSSES),
    "lists.csv": text(LISTS),
    "one hot.csv": text(ONE_HOT),
    "headless.txt": text(HEADLESS),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    TABLES[name](path)
    folder, _ = init(photos, path)
    assert labels_of(folder, monkeypatch) == LABELS


def sheet(path: Path, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize(
    "rows",
    [
        [["photo", "tags"], ["ä b", "cat;wild dog"], ["c", "wild dog"], ["d", None], ["e", "cat"]],
        [["what", "cat", "wild dog"], ["ä b.png", 1, True], ["c", 0, 1.0], ["d", 0, 0], ["e", 1, False]],
    ],
)
def test_spreadsheets(
    rows: list[list[Any]], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet(tmp_path / "labels.xlsx", rows)
    folder, told = init(photos, tmp_path / "labels.xlsx")
    assert labels_of(folder, monkeypatch) == LABELS
    assert "sheet 'Sheet'" in told


@pytest.mark.parametrize("form", ["{}", "{:04}"])
def test_numbers_of_photos_stay_numbers_in_spreadsheets(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        photo(tmp_path / "p" / f"{form.format(number)}.png", number)
    sheet(tmp_path / "labels.xlsx", [["nr", "label"], [0, "a"], [1.0, "a"], [2, "b"], [3, None]])
    folder, _ = init(tmp_path / "p", tmp_path / "labels.xlsx")
    expected = (("a",), ("a",), ("b",), ())
    assert labels_of(folder, monkeypatch) == {form.format(i): names for i, names in enumerate(expected)}


def test_names_that_two_photos_share_mean_neither(tmp_path: Path) -> None:
    for seed, name in enumerate(("a/1", "b/01", "c/X", "d/y")):
        photo(tmp_path / "p" / f"{name}.png", seed)
    names = PhotoNames(find_photos(tmp_path / "p", root=tmp_path / "p", skip=[]))
    asked = ("a/1", "1.png", "01", "x.JPG", "z\\Y.png", "e/y", "2", "")
    assert [names.resolve(name) for name in asked] == ["a/1", None, None, "c/X", "d/y", "d/y", None, None]


def xml(folder: Path) -> None:
    for image_id, names in LABELS.items():
        objects = "".join(f"<object><name>{name}</name></object>" for name in names)
        path = folder / f"{image_id}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")


def coco(path: Path) -> None:
    images = [
        {"id": number, "file_name": f"{image_id}.png", "height": 24, "width": 32}
        for number, image_id in enumerate(LABELS)
    ]
    annotations = [
        {"id": 10 * number + CLASSES.index(name), "image_id": number, "category_id": CLASSES.index(name)}
        for number, names in enumerate(LABELS.values())
        for name in names
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def lists(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("c\n")
    for name in CLASSES:
        lines = [f"{i} {' 1' if name in names else '-1'}" for i, names in LABELS.items()]
        difficult = [line.replace(" 1", " 0") for line in lines]
        (folder / f"{name}_train.txt").write_text("\n".join(lines[:2]), encoding="utf-8")
        (folder / f"{name}_val.txt").write_text("\n".join(difficult[2:]), encoding="utf-8")


def yolo(folder: Path) -> None:
    for image_id, names in LABELS.items():
        path = folder / f"{image_id}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if names:
            path.write_text("".join(f"{CLASSES.index(name)} .5 .5 .1 .1\n" for name in names))
    (folder / "classes.txt").write_text("\n".join(CLASSES))


def vectors(path: Path) -> None:
    flags = {image_id: [float(name in names) for name in CLASSES] for image_id, names in LABELS.items()}
    path.write_text(json.dumps(flags))
    (path.parent / "classes.txt").write_text("\n".join(CLASSES))


OTHERS: dict[str, Callable[[Path], Any]] = {
    "Annotations": xml,
    "coco.json": coco,
    "ImageSets/Main": lists,
    "labels": yolo,
    "vectors.json": vectors,
    "names.json": lambda path: path.write_text(json.dumps(LABELS)),
    "objects.jsonl": lambda path: path.write_text(
        "\n".join(
            json.dumps({"File": f"{image_id}.png", "labels": [{"name": name} for name in names]})
            for image_id, names in LABELS.items()
        )
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats(name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OTHERS[name](tmp_path / name)
    folder, _ = init(photos, tmp_path / name)
    assert labels_of(folder, monkeypatch) == LABELS


def test_pictures_of_other_formats_are_told(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(HEADLESS, encoding="utf-8")
    for name in ("1.HEIC", "2.heic", "sub dir/3.gif"):
        (photos / name).write_bytes(b"?")
    _, told = init(photos, tmp_path / "l.csv")
    line = "files of formats that are not read: 2 .heic, 1 .gif; convert them to JPEG or PNG"
    assert f"\nwarning: {line}\n" in told
    for path in photos.rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=f"holds no photos; {line}"):
        init(photos, tmp_path / "l.csv", to=tmp_path / "other")


def test_joined_names_in_json_are_told(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text(json.dumps({"c": "cat, dog", "d": ["cat"], "e": []}))
    _, told = init(photos, tmp_path / "l.json")
    assert "assumed: 'cat, dog' is one class; give a list of names where it is not" in told


@pytest.mark.parametrize(
    ("name", "given"), [("ImageSets/Main", "ImageSets"), ("ImageSets/Main", "."), ("labels", ".")]
)
def test_the_folder_of_a_data_set_may_be_named(
    name: str, given: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OTHERS[name](tmp_path / "set" / name)
    folder, told = init(photos, tmp_path / "set" / given)
    assert labels_of(folder, monkeypatch) == LABELS
    assert f"labels: {name}: " in told


@pytest.mark.parametrize("name", ["Annotations", "labels.csv", "coco.json"])
def test_labels_that_lie_with_the_photos_are_found(
    name: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "labels.csv":
        (photos / name).write_text(HEADLESS, encoding="utf-8")
    else:
        OTHERS[name](photos / name)
    folder, _ = init(photos)
    assert labels_of(folder, monkeypatch) == LABELS


def test_a_folder_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("cat/1", "cat/x/2", "dog/1")):
        photo(tmp_path / "p" / f"{name}.png", seed)
    folder, _ = init(tmp_path / "p")
    assert labels_of(folder, monkeypatch) == {"cat/1": ("cat",), "cat/x/2": ("cat",), "dog/1": ("dog",)}
    assert not (folder / "labels.csv").exists()


def test_a_folder_of_negatives_beside_those_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("cat/1", "None/2", "negatives/x/3")):
        photo(tmp_path / "p" / f"{name}.png", seed)
    folder, told = init(tmp_path / "p")
    assert labels_of(folder, monkeypatch) == {"cat/1": ("cat",), "None/2": (), "negatives/x/3": ()}
    assert "assumed: photos in the folder 'None' are negatives" in told
    assert "negatives (photos without any class): 2" in told


def test_a_table_that_the_index_reads_stays_where_it_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image,labels\nsub dir/ä b,cat;wild dog\nc,wild dog;\nd,\ne,cat;\n", encoding="utf-8")
    folder, _ = init(photos, table)
    assert load_config(folder / "config.yaml").dataset.labels == str(table)
    table.write_text(table.read_text(encoding="utf-8").replace("e,cat;", "e,"), encoding="utf-8")
    assert labels_of(folder, monkeypatch) == LABELS | {"e": ()}


def test_photos_without_labels_are_predicted_and_labels_without_photo_left_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "l.csv"
    table.write_text("image,labels\nc,wild dog;\ngone.png,cow;\ne,cat;\n")
    folder, told = init(photos, table)
    index = index_of(folder, monkeypatch)
    assert [entry.image_id for entry in index.train] == ["c", "e"]
    assert {entry.image_id: entry.labels for entry in index.label}["d"] is None
    assert index.classes == CLASSES
    assert "2 photos without labels, such as 'd'" in told
    assert "1 labels without photo are left out, such as 'gone.png'" in told


def test_any_mark_but_the_joiner_in_class_names(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = {"c": ("a|b", "car, red"), "d": (), "e": ("car, red",), "sub dir/ä b": ("traffic light",)}
    (tmp_path / "labels.json").write_text(json.dumps(odd))
    folder, _ = init(photos, tmp_path / "labels.json")
    assert labels_of(folder, monkeypatch) == odd
    (tmp_path / "labels.json").write_text(json.dumps(odd | {"e": ["a;b"]}))
    with pytest.raises(InputError, match="class 'a;b' holds ';', by which labels are joined; rename it"):
        init(photos, tmp_path / "labels.json", to=tmp_path / "other")


def test_what_is_told(photos: Path, tmp_path: Path) -> None:
    photo(photos / "copy.png", seed=1)
    photo(photos / "large.png", seed=9, size=(50, 60))
    table = tmp_path / "l.csv"
    table.write_text(JOINED.replace(";", "\t") + "copy.png\tcat\nlarge.png\tcat\n", encoding="utf-8")
    _, told = init(photos, table)
    assert "l.csv: table (utf-8, separated by tab); images in column 'Datei'" in told
    assert "photos: 6, 32×24 to 60×50 pixels, median long side 32" in told
    assert "classes: 2, photos of each: cat 4, wild dog 2" in told
    assert "negatives (photos without any class): 1" in told
    assert "duplicates by content: 1 photos: c.png = copy.png" in told
    assert "warning: duplicates with different labels: c.png = copy.png" in told
    assert "fewer than 10 photos will be learnt badly: cat 4, wild dog 2" in told


def test_the_folder(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    before = tree(photos)
    folder, _ = init(photos, tmp_path / "labels.json", overrides={"cam": {"train": {"epochs": 7}}})
    assert tree(photos) == before
    assert folder == tmp_path / "my photos-irnet"
    lines = (folder / "config.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 20
    assert "made by irnet-pipe init for " in lines[0]
    assert sum("  # " in line for line in lines) > 5
    config = load_config(folder / "config.yaml")
    assert config.run == "my-photos"
    assert config.cam.train.epochs == 7
    assert {path.name for path in (folder / "profiles").iterdir()} == {
        "default",
        "workstation",
        "slurm",
        "lsf",
    }
    assert {"Snakefile", "README.md", "labels.csv"} <= {path.name for path in folder.iterdir()}
    assert not list(tmp_path.glob(".*")), "nothing temporary is left"


def test_no_config_is_longer_than_20_lines(photos: Path, tmp_path: Path) -> None:
    """Copied labels, an order of classes, and photos without labels ask for every key there is."""
    coco(tmp_path / "coco.json")
    (photos / "c.png").rename(photos / "unknown.png")
    folder, _ = init(photos, tmp_path / "coco.json")
    dataset = load_config(folder / "config.yaml").dataset
    asked = {"root", "labels", "classes", "train", "label", "missing", "working_long_side"}
    assert dataset.model_fields_set == asked
    assert len((folder / "config.yaml").read_text(encoding="utf-8").splitlines()) == 20


def test_photos_as_the_authors_number_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("2007_000032", "2007_000039")):
        photo(tmp_path / "VOC2012" / "JPEGImages" / f"{name}.jpg", seed)
        photo(tmp_path / "VOC2012" / "SegmentationClass" / f"{name}.png", seed)
    flags = {number: [0.0] * 20 for number in ("2007000032", "2007000039")}
    flags["2007000032"][0] = flags["2007000039"][19] = 1.0
    (tmp_path / "labels.json").write_text(json.dumps(flags))
    folder, told = init(tmp_path / "VOC2012", tmp_path / "labels.json")
    assert labels_of(folder, monkeypatch) == {"2007_000032": ("aeroplane",), "2007_000039": ("tvmonitor",)}
    assert "the classes of PASCAL VOC in their order" in told


def test_force_keeps_results(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    folder, _ = init(photos, tmp_path / "labels.json")
    (folder / "results" / "weights").write_text("days of work")
    (folder / "config.yaml").write_text("mine")
    with pytest.raises(InputError, match=r"exists; give --to another folder, or --force"):
        init(photos, tmp_path / "labels.json")
    assert (folder / "config.yaml").read_text() == "mine"
    init(photos, tmp_path / "labels.json", force=True)
    assert load_config(folder / "config.yaml").run == "my-photos"
    assert (folder / "results" / "weights").read_text() == "days of work"


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("my photos/run", "lies in the folder of the photos"),
        ("my photos", "lies in the folder of the photos"),
        (".", "holds .*my photos; give --to another folder"),
        ("taken", "was not made by irnet-pipe init"),
    ],
)
def test_places_that_are_refused(to: str, message: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "Snakefile").write_text("rule mine: ...")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=message):
        init(photos, tmp_path / "labels.json", to=tmp_path / to, force=True)
    assert tree(tmp_path) == before


def test_npy_is_refused_with_the_lines_that_convert_it(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cls_labels.npy"
    flags = {
        image_id: np.array([name in names for name in CLASSES], float) for image_id, names in LABELS.items()
    }
    np.save(path, np.array(flags, dtype=object))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"holds Python objects \(a pickle\)") as refused:
        init(photos, path)
    lines = str(refused.value).splitlines()[1:]
    assert len(lines) == 2
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    folder, _ = init(photos, tmp_path / "cls_labels.json")
    assert labels_of(folder, monkeypatch) == LABELS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.csv", "", "holds no rows"),
        ("l.csv", "x,labels\nq,cat\n", "no column names photos; its first line is 'x', 'labels'"),
        ("l.csv", "image,a,b\nc,x y,z\nd,x,z\n", "which of the columns 'a', 'b' holds labels is not clear"),
        ("l.csv", "c,1,0\nd,0,1\n", "the first line, 'c', '1', '0', names a photo"),
        ("l.csv", "image,labels\nc,[cat]\n", "is no list of quoted names; join labels by ;"),
        ("l.csv", "image,labels\nc,[{[]: 1}]\n", "is no list of quoted names"),
        ("l.txt", "c.png cat\nd.png\n", "one column alone, 'c.png cat'; separate image and labels by comma"),
        ("l.doc", "", "suffix '.doc' is of no known format"),
        ("l.xlsx", "no zip", "not an Excel file"),
        ("l.json", "{", "not JSON"),
        ("l.json", '{"q": ["cat"]}', "names no photo of the folder"),
        ("l.json", '{"c": 5}', "labels of 'c' are 5; give a list of class names"),
        ("l.json", '{"c": [0, 1, 1], "d": [0, 0, 1]}', "3 numbers a photo, but no names of classes"),
        ("l.json", '[{"photo": "c"}]', "entry 1 has no key for its image or for its labels"),
        ("l.npy", "no array", "not a .npy file"),
        ("none.csv", None, "no such file or folder"),
    ],
)
def test_what_cannot_be_read(
    name: str, content: str | None, message: str, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        init(photos, path)
    assert not (tmp_path / "my photos-irnet").exists()
    assert not list(tmp_path.glob(".*"))


def test_several_label_files_are_not_chosen_from(photos: Path) -> None:
    for name in ("one.csv", "two.json"):
        (photos / name).write_text("{}")
    with pytest.raises(InputError, match=r"labels may be in .*one\.csv and .*two\.json; give --labels"):
        init(photos)


def test_yolo_needs_names_and_numbers_below_their_count(photos: Path, tmp_path: Path) -> None:
    yolo(tmp_path / "labels")
    (tmp_path / "labels" / "classes.txt").unlink()
    with pytest.raises(InputError, match=r"no file names the classes; put the names into .*classes\.txt"):
        init(photos, tmp_path / "labels")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": {0: "cat"}}))
    with pytest.raises(InputError, match=r"class '1', expected a number below 1"):
        init(photos, tmp_path / "labels")


def test_verb(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    monkeypatch.chdir(tmp_path)
    words = ["init", "my photos", "--labels", "labels.json", "--to", "there"]
    assert main([*words, "--set", "cam.train.epochs=3", "--set", "seed=4"]) == 0
    output = capsys.readouterr().out
    assert "cd there && irnet-pipe validate && irnet-pipe run" in output
    config = load_config(tmp_path / "there" / "config.yaml")
    assert (config.cam.train.epochs, config.seed) == (3, 4)
    (tmp_path / "w.pth").write_bytes(b"weights")
    assert main([*words, "--force", "--set", "cam.weights=w.pth"]) == 0
    assert load_config(tmp_path / "there" / "config.yaml").cam.weights == str(tmp_path / "w.pth")
    capsys.readouterr()
    for gib, backbone in (("0", "resnet18"), ("24", "resnet50")):
        assert main([*words, "--force", "--gpu", gib]) == 0
        assert load_config(tmp_path / "there" / "config.yaml").cam.backbone == backbone
    assert "fitted to: a GPU of 24 GiB, 24 GiB of memory" in capsys.readouterr().out
    assert main([*words, "--force", "--gpu", "-1"]) == 2
    assert "--gpu -1: expected GiB of memory" in capsys.readouterr().err
    assert main([*words, "--force", "--set", "cam.train.epoch=3"]) == 2
    assert "did you mean cam.train.epochs?" in capsys.readouterr().err
    assert main([*words, "--force", "--set", "epochs"]) == 2
    assert "--set epochs: expected KEY=VALUE" in capsys.readouterr().err
