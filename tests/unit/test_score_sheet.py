"""The verb `evaluate`: its outputs, and its errors."""

import csv
import io
import json

import pytest
from random_coco import random_set

from irnet_pipe.cli.main import main
from irnet_pipe.evaluation.comparison import compare, open_sources
from irnet_pipe.evaluation.score_sheet import score_sheet, sheet_rows, sheet_text


@pytest.fixture
def files(tmp_path):
    return random_set(3, tmp_path)


def evaluate(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_outputs_agree(files, tmp_path, capsys):
    truth, results = files
    outputs = tmp_path / "new" / "s.json", tmp_path / "new" / "s.csv"
    assert evaluate(results, truth, "--json", outputs[0], "--csv", outputs[1]) == 0
    sheet = json.loads(outputs[0].read_text())
    assert sheet == json.loads(json.dumps(score_sheet(compare(*open_sources(results, truth)))))
    assert capsys.readouterr().out == sheet_text(sheet)
    rows = list(csv.DictReader(io.StringIO(outputs[1].read_text())))
    assert len(rows) == len(list(sheet_rows(sheet)))
    of = {(row["protocol"], row["figure"], row["class"]): row for row in rows}
    assert len(of) == len(rows)
    ap = sheet["VOC"]["AP50"]
    row = of["VOC", "AP50", "mean"]
    assert [float(row[key]) for key in ("value", "worst", "best")] == [
        round(100 * ap[key], 3) for key in ("mean", "worst", "best")
    ]
    assert int(of["TIDE", "missed", "total"]["value"]) == sheet["TIDE"]["missed"]["total"]
    assert of["COCO", "AP50:95", "class 90"]["value"] == ""
    pixels = sheet["semantic"]["confusion"]["pixels"]
    assert int(of["semantic", "background labelled as", "class 3"]["value"]) == pixels[0][1]
    assert {row["protocol"] for row in rows} == {"VOC", "COCO", "TIDE", "semantic"}


def test_text_names_protocols_and_ranges(files):
    text = sheet_text(score_sheet(compare(*open_sources(*files[::-1]))))
    for part in (
        "VOC: area under",
        "COCO: precision at 101 recalls",
        "TIDE: ",
        "VOC AP50",
        "COCO AP50:95",
        "in any order",
    ):
        assert part in text
    assert max(map(len, text.splitlines()[2:-1])) <= 120


@pytest.mark.parametrize(
    ("only", "kept", "dropped"), [("instances", "VOC", "semantic"), ("semantic", "semantic", "VOC")]
)
def test_one_part_alone(only, kept, dropped, files, tmp_path, capsys):
    truth, results = files
    assert evaluate(results, truth, "--only", only, "--json", tmp_path / "s.json") == 0
    sheet = json.loads((tmp_path / "s.json").read_text())
    assert kept in sheet and dropped not in sheet
    assert f"\n{dropped}:" not in capsys.readouterr().out


def test_nothing_to_find_is_no_figure(tmp_path, capsys):
    truth, results = tmp_path / "t.json", tmp_path / "r.json"
    images = [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 2}]
    truth.write_text(
        json.dumps({"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": []})
    )
    results.write_text("[]")
    assert evaluate(results, truth, "--json", tmp_path / "s.json") == 0
    assert json.loads((tmp_path / "s.json").read_text())["COCO"]["AP50:95"]["mean"] is None
    assert "AP50:95                   –" in capsys.readouterr().out


def test_errors_are_lines(files, tmp_path, capsys):
    truth, results = files
    names = tmp_path / "names.txt"
    for content, arguments, message in (
        ("", (results, truth.parent, "--classes", names), "names.txt: names no class, or one twice"),
        (
            "cat\ncat\n",
            (results, truth.parent, "--classes", names),
            "names.txt: names no class, or one twice",
        ),
        ("cat\n", (results, truth.parent, "--classes", tmp_path / "no.txt"), "no.txt: cannot be read"),
        ("cat\n", (results, truth, "--classes", names), "truth.json: names its classes itself"),
        ("cat\n", (truth, truth), "has the score None"),
    ):
        names.write_text(content)
        assert evaluate(*arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and message in captured.err and "Traceback" not in captured.err


def test_scores_of_before_stay_where_names_differ(files, tmp_path, capsys):
    truth, _ = files
    predicted = json.loads(truth.read_text())
    for note in predicted["annotations"]:
        note |= {"score": 1, "iscrowd": 0}
    kept, renamed = tmp_path / "s.json", tmp_path / "renamed.json"
    renamed.write_text(json.dumps(predicted))
    assert evaluate(renamed, truth, "--json", kept) == 0
    before = kept.read_text()
    next(c for c in predicted["categories"] if c["id"] == note["category_id"])["name"] = "other"
    renamed.write_text(json.dumps(predicted))
    capsys.readouterr()
    assert evaluate(renamed, truth, "--json", kept) == 2
    captured = capsys.readouterr()
    assert (
        captured.out == "" and "renamed.json: categories that " in captured.err and "'other'" in captured.err
    )
    assert kept.read_text() == before
