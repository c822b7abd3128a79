"""The scores of a run as tables: CSV for programs, aligned text for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

MEAN = "mean"

RAW_CAM = "raw CAM"
"""Name of the CAM's arg-max among the variants that are scored."""


def join_scores(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The scores of a run.

    Args:
        parts: contents of artifacts of kind scores, at least one, all of the same images.

    Returns:
        `images`, `images_with_predicted_classes`, and `variants`: name → figures and the recipe of the part.
    """
    return {
        "images": parts[0]["images"],
        "images_with_predicted_classes": parts[0]["images_with_predicted_classes"],
        "variants": {part["variant"]: {"recipe": part["recipe"]} | part["figures"] for part in parts},
    }


def score_rows(scores: dict[str, Any]) -> Iterator[tuple[str, str, str, float | None]]:
    """Rows (variant, figure, class or 'mean', value in percent or None) of the scores of a run.

    Figures are mIoU and AP25, AP50, ….
    """
    for variant, result in scores["variants"].items():
        if "semantic" in result:
            yield from _figure(variant, "mIoU", result["semantic"])
        for name, figure in result.get("instance", {}).items():
            yield from _figure(variant, name, figure)


def _figure(variant: str, name: str, figure: dict[str, Any]) -> Iterator[tuple[str, str, str, float | None]]:
    yield variant, name, MEAN, _percent(figure["mean"])
    for class_name, value in figure["classes"].items():
        yield variant, name, class_name, _percent(value)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)


def scores_csv(scores: dict[str, Any]) -> str:
    """All scores, one a row, in percent; empty where a class is in no ground truth."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["variant", "figure", "class", "percent"])
    writer.writerows(score_rows(scores))
    return stream.getvalue()


def mean_table(scores: dict[str, Any]) -> tuple[list[str], list[list[str | float | None]]]:
    """Columns and rows of the means: one row per variant, one column per figure, in percent."""
    means: dict[str, dict[str, float | None]] = {}
    for variant, figure, name, value in score_rows(scores):
        if name == MEAN:
            means.setdefault(variant, {})[figure] = value
    figures = list(dict.fromkeys(figure for row in means.values() for figure in row))
    rows: list[list[str | float | None]] = [
        [variant, *(row.get(figure) for figure in figures)] for variant, row in means.items()
    ]
    return ["variant", *figures], rows


def summary_text(scores: dict[str, Any]) -> str:
    """The means as aligned text."""
    columns, rows = mean_table(scores)
    head, *numbers = columns
    width = max(10, *(len(str(row[0])) + 2 for row in rows))
    lines = [f"{head:<{width}}" + "".join(f"{name:>8}" for name in numbers)]
    for variant, *values in rows:
        cells = "".join(f"{'–':>8}" if value is None else f"{value:8.1f}" for value in values)
        lines.append(f"{variant:<{width}}{cells}")
    lines.append(f"percent, {scores['images']} images with ground truth")
    if predicted := scores["images_with_predicted_classes"]:
        lines.append(f"the classes of {predicted} of them were predicted by the classifier")
    lines += upper_bounds(scores)
    return "\n".join(lines) + "\n"


def upper_bounds(scores: dict[str, Any]) -> list[str]:
    """A line for each row that is an upper bound: its network learnt from ground truth."""
    return [
        f"{name} learnt from ground truth: an upper bound, not a result of image-level labels"
        for name, result in scores["variants"].items()
        if result.get("learnt_from") == "truth"
    ]
