"""Scores as tables."""

import csv
import io

import pytest

from irnet_pipe.evaluation.tables import mean_table, score_rows, scores_csv, summary_text


def figure(mean, **classes):
    return {"mean": mean, "classes": classes}


SCORES = {
    "images": 7,
    "images_with_predicted_classes": 0,
    "variants": {
        "raw CAM": {"recipe": "0123", "semantic": figure(0.4, background=0.8, cat=0.0)},
        "cam": {
            "semantic": figure(0.5, background=0.9, cat=0.1),
            "instance": {"AP50": figure(0.25, cat=0.25)},
        },
        "full": {
            "semantic": figure(1.0, background=1.0, cat=1.0),
            "instance": {"AP50": figure(None, cat=None)},
        },
    },
}


def test_rows():
    rows = list(score_rows(SCORES))
    assert rows[:3] == [
        ("raw CAM", "mIoU", "mean", 40.0),
        ("raw CAM", "mIoU", "background", 80.0),
        ("raw CAM", "mIoU", "cat", 0.0),
    ]
    assert ("cam", "AP50", "mean", 25.0) in rows
    assert rows[-1] == ("full", "AP50", "cat", None)


def test_csv_reads_back_with_empty_cells_for_what_is_unknown():
    rows = list(csv.DictReader(io.StringIO(scores_csv(SCORES))))
    assert len(rows) == len(list(score_rows(SCORES)))
    assert rows[-1] == {"variant": "full", "figure": "AP50", "class": "cat", "percent": ""}


def test_class_names_with_commas_are_quoted():
    scores = {"images": 1, "variants": {"cam": {"semantic": figure(0.1, **{'a, "b"': 0.1})}}}
    rows = list(csv.reader(io.StringIO(scores_csv(scores))))
    assert rows[2] == ["cam", "mIoU", 'a, "b"', "10.0"]


def test_table_of_means():
    columns, rows = mean_table(SCORES)
    assert columns == ["variant", "mIoU", "AP50"]
    assert rows == [["raw CAM", 40.0, None], ["cam", 50.0, 25.0], ["full", 100.0, None]]


def test_summary_is_aligned():
    lines = summary_text(SCORES).splitlines()
    assert [len(line) for line in lines[:4]] == [len(lines[0])] * 4
    assert lines[1].split() == ["raw", "CAM", "40.0", "–"]
    assert lines[3].split() == ["full", "100.0", "–"]
    assert lines[4] == "percent, 7 images with ground truth"


@pytest.mark.parametrize("value", [0.123456789, 1 / 3])
def test_percent_has_three_decimals(value):
    scores = {"images": 1, "variants": {"raw CAM": {"semantic": figure(value)}}}
    assert next(score_rows(scores))[3] == round(100 * value, 3)
