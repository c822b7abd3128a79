"""Faults of labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fault import Fault, Project, configured, labelled, listed, written

CSV = "photos/labels.csv"
ROWS = "a,box\nb,disc\nc,box\nd,\n"
COCO: dict[str, Any] = {
    "images": [
        {"id": number, "file_name": f"{name}.png", "height": 30, "width": 40}
        for number, name in enumerate("abcd")
    ],
    "categories": [{"id": 1, "name": "box"}, {"id": 2, "name": "disc"}],
    "annotations": [{"id": 1, "image_id": 0, "category_id": 1}, {"id": 2, "image_id": 1, "category_id": 2}],
}


def coco(**changes: Any) -> Callable[[Project], object]:
    """Labels from a COCO json, of which some keys are changed."""
    return lambda project: project.replace(CSV, "photos/annotations.json", json.dumps(COCO | changes))


def coco_text(text: str) -> Callable[[Project], object]:
    return lambda project: project.replace(CSV, "photos/annotations.json", text)


def xml(text: str) -> Callable[[Project], object]:
    """Labels from XML files, of which that of a is changed."""

    def spoil(project: Project) -> None:
        (project.folder / CSV).unlink()
        for name, label in {"b": "car", "c": "dog", "d": "dog"}.items():
            project.write(f"photos/Annotations/{name}.xml", f"<a><object><name>{label}</name></object></a>")
        project.write("photos/Annotations/a.xml", text)

    return spoil


def long_line(name: str) -> Callable[[Project], object]:
    """A file of 2 GiB, none of which takes room on the disk."""

    def spoil(project: Project) -> None:
        (project.folder / CSV).unlink()
        with (project.folder / "photos" / name).open("wb") as file:
            file.write(b'{"images": [')
            file.truncate(2 << 30)

    return spoil


TABLES = [
    Fault(
        "a table in UTF-16",
        written(CSV, f"image_id,labels\n{ROWS}".encode("utf-16")),
        "photos/labels.csv: not UTF-8 (UTF-16); save the file as UTF-8",
    ),
    Fault(
        "a table in UTF-16 without a mark",
        written(CSV, f"image_id,labels\n{ROWS}".encode("utf-16-le")),
        "photos/labels.csv: not UTF-8 (holds NUL at byte 1, as UTF-16 does); save the file as UTF-8",
    ),
    Fault(
        "a table in Latin-1",
        written(CSV, "image_id,labels\na,Kästchen\n".encode("latin-1")),
        "photos/labels.csv: not UTF-8 (byte 19); save the file as UTF-8",
    ),
    Fault(
        "a spreadsheet named .csv",
        written(CSV, b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + bytes(range(256))),
        "photos/labels.csv: not UTF-8 (holds NUL at byte 5, as UTF-16 does); save the file as UTF-8",
    ),
    Fault(
        "an empty table",
        written(CSV, ""),
        "photos/labels.csv: holds no rows below its header; expected a header line and one row an image",
    ),
    Fault(
        "a table without header",
        written(CSV, ROWS),
        "photos/labels.csv: header ['a', 'box'] has no column of images; name one of them image_id (or "
        "image, id, file, file_name, filename, path, photo, img, name)",
    ),
    Fault(
        "a cell too many",
        labelled("a,box,disc\nb,disc\nc,box\nd,\n"),
        "photos/labels.csv:2: 3 cells, but the header has 2; mend the line, or quote cells that hold ','",
    ),
    Fault(
        "a header and nothing below it",
        labelled(""),
        "photos/labels.csv: holds no rows below its header; expected a header line and one row an image",
    ),
    Fault(
        "no column of labels",
        written(CSV, "image\na\nb\nc\nd\n"),
        "photos/labels.csv: header ['image'] has no column of labels; name it labels",
    ),
    Fault(
        "two columns that may hold labels",
        written(CSV, "image,label,class\na,box,disc\nb,disc,box\nc,box,box\nd,,\n"),
        "photos/labels.csv: columns ['label', 'class'] may all hold labels; keep one column of labels, or one a class",
    ),
    Fault(
        "several labels in a table of a row a label",
        labelled("a,box;disc\na,box\nb,disc\nc,box\nd,\n"),
        "photos/labels.csv:2: 'box;disc' looks like several labels, yet images recur in other rows; give "
        "one row an image, or one label a row",
    ),
    Fault(
        "an image in two rows of a column a class",
        written(CSV, "image,box,disc\na,1,0\nb,0,1\nc,1,0\nd,0,0\na,1,0\n"),
        "photos/labels.csv:6: image 'a' has a row already; delete one of them",
    ),
    Fault(
        "a quote that is not closed",
        labelled('a,"box\nb,disc\n'),
        "photos/labels.csv:3: not a table (unexpected end of data); mend the line",
    ),
    Fault(
        "a row without image",
        labelled(f"{ROWS},box\n"),
        "photos/labels.csv:6: names no image; fill the cell",
    ),
    Fault(
        "labels that may be one or two",
        labelled("a,traffic light\nb,disc\nc,disc\nd,\n"),
        "photos/labels.csv: 'traffic light' may be one label or several; join labels by ; (one at the end of a single "
        "label will do), or set dataset.classes",
    ),
    Fault(
        "labels joined in two ways",
        labelled("a,box;disc\nb,disc|box\nc,box\nd,\n"),
        "photos/labels.csv: labels are joined by ; and by |; join all of them by ; (with one at the end of single "
        "labels, if names hold other marks)",
    ),
    Fault(
        "labels as Python writes lists",
        labelled("a,\"['box', 'disc']\"\nb,['disc']\nc,['box']\nd,[]\n"),
        "photos/labels.csv: \"['box', 'disc']\" looks like a list of a program; join labels by ;",
    ),
    Fault(
        "a 2 where a column a class holds 0 and 1",
        written(CSV, "image,box,disc\na,1,2\nb,0,1\nc,1,0\nd,0,0\n"),
        "photos/labels.csv:2: column 'disc' holds '2', expected 0 or 1; mend the cell, or name the column of "
        "labels labels",
    ),
    Fault(
        "a photo without row",
        labelled("a,box\nb,disc\nc,box\n"),
        "photos/labels.csv: image 'd' has no labels; add them, take it out of the list, or set "
        "dataset.missing: negative if no class is in it",
    ),
    Fault(
        "a row without photo",
        labelled(f"{ROWS}e.jpg,box\n"),
        "photos/labels.csv: 'e.jpg' has labels, but no photo in photos/images; add it or delete them",
    ),
    Fault(
        "a row in another case than its photo",
        labelled("A.PNG,box\nb,disc\nc,box\nd,\n"),
        (
            "photos/labels.csv: 'A.PNG' has labels, but no photo in photos/images; write 'a'",
            "photos/labels.csv: image 'a' has no labels; add them, take it out of the list, or set dataset.missing: "
            "negative if no class is in it",
        ),
    ),
    Fault(
        "an image labelled twice",
        labelled(f"{ROWS}a.png,disc\n"),
        "photos/labels.csv: 'a.png' is image 'a', which has labels already; delete one of the two",
    ),
    Fault(
        "no label at all",
        labelled("a,\nb,\nc,\nd,\n"),
        "photos/labels.csv: no training image has a label; add labels or see dataset.train",
    ),
    Fault(
        "two tables",
        written("photos/labels.tsv", "image_id\tlabels\n"),
        "photos: labels in labels.csv (csv) and labels.tsv (csv); set dataset.labels to the one that counts",
    ),
    Fault(
        "no table",
        lambda project: (project.folder / CSV).unlink(),
        "photos: no labels found, expected one of Annotations, annotations.json, labels.csv, image_labels.csv, "
        "labels.tsv, image_labels.tsv; set dataset.labels and dataset.format",
    ),
    Fault(
        "a table of 2 GiB in one line",
        lambda project: (
            long_line("labels.tsv")(project),
            project.config({"dataset": {"labels": "labels.tsv"}}),
        ),
        "photos/labels.tsv: 2.1 GB, 1.5 GB at most are read; split the file, or leave out of it what is not needed",
    ),
]
CLASSES = [
    Fault(
        "a class called background",
        labelled("a,background\nb,disc\nc,box\nd,\n"),
        "photos/labels.csv: class 'background': what belongs to no class is background already, in every "
        "photo; take the class out, or give it another name",
    ),
    Fault(
        "a class in two cases",
        labelled("a,Box\nb,disc\nc,box\nd,\n"),
        "photos/labels.csv: 'Box' and 'box' are one class in different case; write it in one way, once",
    ),
    Fault(
        "a class that is misspelt",
        lambda project: (
            project.table("a,bxo\nb,disc\nc,box\nd,\n"),
            project.config({"dataset": {"classes": ["box", "disc"]}}),
        ),
        "photos/labels.csv: class 'bxo' of image 'a' is not in dataset.classes; write 'box' if that is "
        "meant, or add it there (now box, disc) or correct the label",
    ),
    Fault(
        "a class that is named twice",
        configured(dataset={"classes": ["box", "disc", "disc"]}),
        "dataset.classes: 'disc' and 'disc' are one class in different case; write it in one way, once",
    ),
    Fault(
        "a class without name",
        configured(dataset={"classes": ["box", "disc", " "]}),
        "dataset.classes: class ' ' has no name; give it one",
    ),
    Fault(
        "a class that no training image shows",
        lambda project: (project.table(ROWS), listed("train", "a\nc\n", label="all")(project)),
        "photos/labels.csv: class 'disc' occurs only in images to be labelled (1, for example 'b'), so no classifier "
        "learns it; add training images of it or delete the label",
    ),
    Fault(
        "more classes than an image can hold",
        labelled(f"a,{';'.join(f'c{n:03}' for n in range(255))}\nb,c000\nc,c001\nd,\n"),
        "photos/labels.csv: image 'a' has 255 classes, 254 at most can be in one image; delete labels",
    ),
]
JSON_AND_XML = [
    Fault(
        "a COCO json without its end",
        coco_text('{"images": ['),
        "photos/annotations.json: not a COCO json (Expecting value: line 1 column 13 (char 12)); give one with images, "
        "annotations, categories",
    ),
    Fault(
        "a JSON that is a list",
        coco_text("[]"),
        "photos/annotations.json: not a COCO json (list indices must be integers or slices, not str); give "
        "one with images, annotations, categories",
    ),
    Fault(
        "a COCO json nested without end",
        coco_text("[" * 100_000),
        "photos/annotations.json: not a COCO json (maximum recursion depth exceeded while decoding a JSON array from a "
        "unicode string); give one with images, annotations, categories",
    ),
    Fault(
        "a COCO json of 2 GiB in one line",
        long_line("annotations.json"),
        "photos/annotations.json: 2.1 GB, 1.5 GB at most are read; split the file, or leave out of it what is "
        "not needed",
    ),
    Fault(
        "a COCO json without categories",
        coco_text('{"images": [], "annotations": []}'),
        "photos/annotations.json: not a COCO json, key 'categories' is missing; add it",
    ),
    Fault(
        "an annotation of no image",
        coco(annotations=[*COCO["annotations"], {"id": 3, "image_id": 9, "category_id": 1}]),
        "photos/annotations.json: an annotation names image_id 9, which is not in images; add or drop it",
    ),
    Fault(
        "an annotation of no category",
        coco(annotations=[*COCO["annotations"], {"id": 3, "image_id": 1, "category_id": 7}]),
        "photos/annotations.json: an annotation names category_id 7, not in categories; add or drop it",
    ),
    Fault(
        "two categories of one name",
        coco(categories=[{"id": 1, "name": "box"}, {"id": 2, "name": "box"}]),
        "photos/annotations.json: category name 'box' occurs twice; make each unique",
    ),
    Fault(
        "an XML file without a byte",
        xml(""),
        "FOLDER/photos/Annotations/a.xml: not an XML file (no element found: line 1, column 0); mend or replace it",
    ),
    Fault(
        "an XML file without its end",
        xml("<annotation><object>"),
        "FOLDER/photos/Annotations/a.xml: not an XML file (no element found: line 1, column 20); mend or replace it",
    ),
    Fault(
        "an object without name",
        xml("<annotation><object><pose>left</pose></object></annotation>"),
        "FOLDER/photos/Annotations/a.xml: object 1 has no <name>; add it, or delete the object",
    ),
]
FAULTS = [*TABLES, *CLASSES, *JSON_AND_XML]
