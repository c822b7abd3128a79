"""The verb export: what is read, where it is written, and bad input."""

from __future__ import annotations

import csv
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from published_run import CLASSES, NEGATIVE, RECIPE, SIZES, publish_masks

from irnet_pipe.cli.main import main
from irnet_pipe.errors import InputError
from irnet_pipe.export import convert as module
from irnet_pipe.export.coco import CocoImage, CocoInstance, write_coco
from irnet_pipe.export.convert import convert
from irnet_pipe.export.dataset import Dataset
from irnet_pipe.export.formats import FORMATS, Format
from irnet_pipe.export.published import open_published
from irnet_pipe.numerics.run_lengths import encode_rle


def names_of(folder: Path) -> dict[str, str]:
    with (folder / "images.csv").open(encoding="utf-8", newline="") as stream:
        return {row["image"]: row["split"] for row in csv.DictReader(stream)}


def error_of(capsys, *arguments: object) -> str:
    assert main(["export", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.splitlines()[-1].removeprefix("error: ")


def test_photos_are_read_as_they_were_written(made_up):
    published = open_published(made_up.output)
    assert (published.variant, published.recipe, published.classes) == ("full", RECIPE, CLASSES)
    for photo, (name, expected) in zip(published.photos(), made_up.masks.items(), strict=True):
        assert (photo.file_name, photo.height, photo.width) == (name, *SIZES[name])
        for instance, (mask, class_id, score) in zip(photo.instances, expected, strict=True):
            np.testing.assert_array_equal(instance.counts, encode_rle(mask))
            assert (instance.class_id, instance.score) == (class_id, score)


def test_other_variants(made_up, tmp_path, capsys):
    folder = made_up.export("png", tmp_path / "out", "--variant", "cam")
    assert json.loads((folder / "export.json").read_text())["variant"] == "cam"
    assert len(list(folder.glob("masks/**/*.png"))) == len(SIZES) - 1
    made_up.export("png", tmp_path / "same", "--variant", "full")
    capsys.readouterr()
    told = error_of(
        capsys, made_up.output, "--format", "png", "--to", tmp_path / "x", "--variant", "boundary"
    )
    assert told == (
        f"{made_up.output}: variant 'boundary' is not published, only full, cam; give one of these, or add it to "
        "export.variants and run snakemake"
    )


def many(tmp_path: Path, n: int, *, skip: int = 0) -> Path:
    folder = tmp_path / f"run {n} {skip}"
    publish_masks(folder / "masks.json", {f"a/{i:04d}.jpg": [] for i in range(skip, n)}, variant="full")
    (folder / f"recipe-{RECIPE}.json").write_text("{}")
    return folder


def test_split_has_its_share_and_is_stable_when_photos_come_and_go(tmp_path):
    splits = []
    for n, skip in ((1000, 0), (1500, 300)):
        out = tmp_path / f"out {n}"
        run = many(tmp_path, n, skip=skip)
        assert main(["export", str(run), "--format=coco", f"--to={out}", "--val-share=0.2"]) == 0
        splits.append(names_of(out))
        numbers = {}
        for split in ("train", "val"):
            images = json.loads((out / f"annotations/instances_{split}.json").read_text())["images"]
            numbers |= {image["file_name"]: split for image in images}
        assert numbers == splits[-1]
    first, second = splits
    assert 160 < list(first.values()).count("val") < 240
    common = first.keys() & second.keys()
    assert len(common) == 700
    assert all(first[name] == second[name] for name in common)


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("voc", ("ImageSets/Segmentation/train.txt", "ImageSets/Main/val.txt")),
        ("cvat", ("train.zip", "val.zip")),
        ("yolo", ("labels/train", "labels/val")),
        ("labelme", ("train", "val")),
    ],
)
def test_formats_part_train_and_val(made_up, tmp_path, form, parts):
    folder = made_up.export(form, tmp_path / "out", "--val-share", "0.4")
    assert set(names_of(folder).values()) == {"train", "val"}
    assert all((folder / part).exists() for part in parts)


def test_lists_of_voc_part_the_photos(made_up, tmp_path):
    folder = made_up.export("voc", tmp_path / "out", "--val-share", "0.4")
    names = names_of(folder)
    for split in ("train", "val"):
        expected = [name.rpartition(".")[0] for name, of in names.items() if of == split]
        assert (folder / f"ImageSets/Segmentation/{split}.txt").read_text("utf-8").splitlines() == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_the_photos(tmp_path, form):
    mask = np.zeros((200, 200), bool)
    mask[::2] = mask[:, 0] = True  # a comb: each mask takes 80 kB
    instance = CocoInstance(encode_rle(mask), 0, 0.5)

    def peak(n: int) -> int:
        folder = tmp_path / f"{n} photos"
        folder.mkdir()
        (folder / f"recipe-{RECIPE}.json").write_text("{}")
        with (folder / "masks.json").open("w") as stream:
            write_coco(
                stream,
                [CocoImage(f"{i}.jpg", 200, 200) for i in range(n)],
                ([instance] for _ in range(n)),
                class_names=["cat"],
                description=f"variant full, recipe {RECIPE}",
            )
        tracemalloc.start()
        convert(Dataset(open_published(folder), val_share=0.5), form, to=tmp_path / f"{n} out")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(3)  # what is loaded once
    assert peak(100) < peak(10) + 3_000_000


def test_folder_that_holds_something_is_left_alone(made_up, tmp_path, capsys):
    to = tmp_path / "out"
    to.mkdir()
    (to / "mine.txt").write_text("mine")
    for force in ([], ["--force"]):
        told = error_of(capsys, made_up.output, "--format", "coco", "--to", to, *force)
        assert told == (
            f"{to}: is not empty and no earlier export (no export.json); give --to another folder, "
            "or empty this one"
        )
    assert [path.name for path in to.iterdir()] == ["mine.txt"]
    told = error_of(capsys, made_up.output, "--format", "coco", "--to", to / "mine.txt")
    assert told == f"{to / 'mine.txt'}: is a file; give --to another name"


def test_earlier_export_is_replaced_by_force_alone(made_up, tmp_path, capsys):
    to = tmp_path / "out"
    to.mkdir()
    made_up.export("coco", to)
    capsys.readouterr()
    told = error_of(capsys, made_up.output, "--format", "yolo", "--to", to)
    assert told == f"{to}: holds an earlier export; give --to another folder, or replace it by --force"
    made_up.export("yolo", to, "--force")
    assert (to / "data.yaml").exists() and not (to / "annotations").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_link_to_a_folder_is_kept(made_up, tmp_path):
    (tmp_path / "disk").mkdir()
    to = tmp_path / "out"
    to.symlink_to(tmp_path / "disk")
    for force in ([], ["--force"]):
        made_up.export("coco", to, *force)
    assert to.is_symlink() and (tmp_path / "disk" / "export.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "out"}


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError, InputError])
def test_what_is_interrupted_leaves_nothing(made_up, tmp_path, monkeypatch, fault):
    earlier = made_up.export("coco", tmp_path / "out")
    before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}

    def fail(dataset: Dataset, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise fault("stop")

    monkeypatch.setattr(Format, "load", lambda self: fail)
    for to in (tmp_path / "new", earlier):
        with pytest.raises(fault):
            convert(Dataset(open_published(made_up.output)), "coco", to=to, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert before == {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}


def test_half_an_export_has_another_name(made_up, tmp_path, monkeypatch):
    seen = []

    def look(dataset: Dataset, folder: Path) -> None:
        seen.extend(path.name for path in tmp_path.iterdir())
        assert not (folder / module.EXPORT.marker).exists()

    monkeypatch.setattr(Format, "load", lambda self: look)
    convert(Dataset(open_published(made_up.output)), "coco", to=tmp_path / "out")
    (name,) = seen
    assert name.startswith(".out.") and name.endswith(".tmp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val-share", "1"], "--val-share is 1.0, must be 0 or more and below 1; 0.2 is usual"),
        (["--val-share=-0.1"], "--val-share is -0.1, must be 0 or more and below 1; 0.2 is usual"),
        (["--val-share", "nan"], "--val-share is nan, must be 0 or more and below 1; 0.2 is usual"),
        (["--photos", "link"], "--photos link needs --root, the folder that dataset.root names"),
        (
            ["--photos", "copy", "--root", "/no/where"],
            "--root /no/where: no such folder; give the folder that dataset.root names",
        ),
        (
            ["--photos", "link", "--root", "."],
            "--photos link: cvat is a zip, which holds no links; give --photos copy",
        ),
    ],
)
def test_bad_options(made_up, tmp_path, capsys, options, message):
    form = "cvat" if message.startswith("--photos link: ") else "coco"
    assert error_of(capsys, made_up.output, "--format", form, "--to", tmp_path / "x", *options) == message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_missing_photo(made_up, tmp_path, capsys, form):
    root = tmp_path / "root"
    shutil.copytree(made_up.root, root)
    (root / NEGATIVE).unlink()
    options = ("--photos", "copy", "--root", root)
    told = error_of(capsys, made_up.output, "--format", form, "--to", tmp_path / "x", *options)
    assert told == (
        f"{root / NEGATIVE}: no such photo; --root must be the folder that dataset.root names, or leave out --photos"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_folders_that_are_no_published_run(made_up, tmp_path, capsys):
    def told(folder: Path) -> str:
        return error_of(capsys, folder, "--format", "coco", "--to", tmp_path / "x")

    missing = tmp_path / "missing"
    assert told(missing) == f"{missing}: no such folder; give the folder of a published run, outputs/<run>"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert told(empty) == f"{empty}: holds no masks.json; run snakemake, which publishes it"
    sweep = made_up.output.parent
    assert (
        told(sweep) == f"{sweep}: holds 1 published runs, not one; give one of them, such as {sweep / 'run'}"
    )
    half = tmp_path / "half"
    shutil.copytree(made_up.output, half)
    (half / f"recipe-{RECIPE}.json").unlink()
    assert told(half) == f"{half}: was not published to its end (no recipe-*.json); run snakemake again"
    assert not (tmp_path / "x").exists()


def damaged(lines: list[str], fault: str) -> list[str]:
    first_image = lines.index('"images": [') + 1
    annotations = lines.index('"annotations": [')
    of_last = lines[-2]
    faults = {
        "cut": lines[:-4],
        "cut in a line": [*lines[:-4], lines[-4][:20]],
        "foreign": ["{", *lines],
        "no variant": [lines[0].replace("variant", "kind"), *lines[1:]],
        "no list": [*lines[:2], *lines[-1:]],
        "no json": [*lines[:first_image], "{nonsense},", *lines[first_image + 1 :]],
        "outside": [line.replace('"z.jpg"', '"../z.jpg"') for line in lines],
        "absolute": [line.replace('"z.jpg"', '"/z.jpg"') for line in lines],
        "order": [*lines[: annotations + 1], of_last + ",", *lines[annotations + 1 :]],
        "class": [*lines[:-2], of_last.replace('"category_id": ', '"category_id": 9'), lines[-1]],
        "score": [*lines[:-2], of_last.replace('"score": ', '"store": '), lines[-1]],
        "size": [line.replace('"z.jpg", "height": 33', '"z.jpg", "height": 34') for line in lines],
        "counts": [*lines[:-2], of_last.replace('"counts": "', '"counts": "ü'), lines[-1]],
        "no mask": [*lines[:-2], of_last.replace('"counts": "', '"counts": "", "x": "'), lines[-1]],
    }
    return faults[fault]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut", "ends too early"),
        ("cut in a line", "ends too early"),
        ("foreign", "line 1: does not begin with info"),
        ("no variant", "line 1: info names no variant and recipe"),
        ("no list", "line 3: no list 'categories' with one entry a line"),
        ("no json", "is no JSON"),
        ("outside", "file_name '../z.jpg' is no path below the photos' folder"),
        ("absolute", "file_name '/z.jpg' is no path below the photos' folder"),
        ("order", "image_id 1 is out of order"),
        ("class", "is not in 1…3"),
        ("score", "annotation cannot be read (KeyError: 'score')"),
        ("size", "no mask of 34×40 pixels for 'z.jpg'"),
        ("counts", "annotation cannot be read (UnicodeEncodeError"),
        ("no mask", "annotation cannot be read"),
    ],
)
def test_damaged_masks(made_up, tmp_path, capsys, fault, message):
    run = tmp_path / "run"
    shutil.copytree(made_up.output, run)
    lines = (run / "masks.json").read_text().splitlines()
    (run / "masks.json").write_text("\n".join(damaged(lines, fault)) + ("" if "in a" in fault else "\n"))
    told = error_of(capsys, run, "--format", "coco", "--to", tmp_path / "x")
    assert told.startswith(f"{run / 'masks.json'}, line ")
    assert message in told
    assert told.endswith(
        "; the file is damaged or not written by irnet_pipe: run snakemake, which publishes it anew"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("form", "names"),
    [("voc", ("a.jpg", "a.png")), ("labelme", ("a.jpg", "a.png")), ("yolo", ("a/b.jpg", "a__b.jpg"))],
)
def test_photos_that_would_share_a_file(tmp_path, capsys, form, names):
    run = tmp_path / "run"
    publish_masks(run / "masks.json", {name: [] for name in names}, variant="full")
    (run / f"recipe-{RECIPE}.json").write_text("{}")
    told = error_of(capsys, run, "--format", form, "--to", tmp_path / "x")
    assert names[1] in told
    assert "another photo has the file" in told and told.endswith("rename one of the two")


def test_palettes_hold_254_labels(tmp_path, capsys):
    mask = np.zeros((30, 40), bool)
    masks = []
    for i in range(255):
        one = mask.copy()
        one.flat[i] = True
        masks.append((one, 0, 0.5))
    for name, classes, of_photo in (
        ("instances", ["cat"], masks),
        ("classes", [str(i) for i in range(255)], []),
    ):
        run = tmp_path / name
        publish_masks(run / "masks.json", {"a.jpg": of_photo}, variant="full", classes=classes)
        (run / f"recipe-{RECIPE}.json").write_text("{}")
        told = error_of(capsys, run, "--format", "voc", "--to", tmp_path / "x")
        assert told.endswith(
            f"255 {name}, a palette PNG holds 254 at most; choose another format, such as coco or png"
        )
