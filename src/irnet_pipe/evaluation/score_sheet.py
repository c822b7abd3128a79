"""A comparison as JSON, as CSV, and as text for a terminal. Every figure is named with its protocol."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from irnet_pipe.evaluation.boundary import TOLERANCE
from irnet_pipe.evaluation.coco_protocol import AREA_RANGES, MAX_DETECTIONS, CocoScores
from irnet_pipe.evaluation.comparison import Comparison, InstanceScores, SemanticScores
from irnet_pipe.evaluation.error_kinds import KINDS
from irnet_pipe.evaluation.mask_set import FloatArray

PROTOCOLS = {
    "VOC": "area under the interpolated precision-recall curve, all detections",
    "COCO": "precision at 101 recalls, 100 detections of an image and class",
    "TIDE": "counts of errors at IoU .5",
    "semantic": f"pixels; boundary F within {TOLERANCE:.2%} of the diagonal",
}
WIDE_RANGE = 0.01
"""Width of a range over the orders of equals from which on a note tells of it."""

Sheet = dict[str, Any]


def score_sheet(comparison: Comparison) -> Sheet:
    """All scores as shares of 1, null where there is no ground truth for a figure.

    Each figure has `mean` and `classes`; those whose range over the orders of equals is known, `worst` and `best` too.
    """
    truth, predictions = comparison.truth, comparison.predictions
    sheet: Sheet = {
        "predictions": predictions.description,
        "ground_truth": truth.description,
        "images": len(truth.images),
        "images_without_prediction": len(predictions.without_prediction),
        "predicted_images_left_out": len(predictions.left_out),
        "protocols": PROTOCOLS,
    }
    if comparison.instances:
        sheet |= _instances(comparison.instances, truth.class_names)
    if comparison.semantic:
        sheet["semantic"] = _semantic(comparison.semantic, ("background", *truth.class_names))
    sheet["notes"] = list(_notes(comparison, sheet))
    return sheet


def _instances(scores: InstanceScores, names: Sequence[str]) -> Sheet:
    voc = {
        f"AP{round(100 * threshold):02d}": _figure(names, ap, worst=worst, best=best)
        for threshold, ap, worst, best in zip(
            scores.voc.thresholds, scores.voc.ap, *scores.voc_range, strict=True
        )
    }
    counts = {
        kind: {"total": int(row.sum()), "classes": dict(zip(names, row.tolist(), strict=True))}
        for kind, row in zip(KINDS, scores.error_counts, strict=True)
    }
    return {
        "instances": dict(zip(names, scores.voc.n_truth.tolist(), strict=True)),
        "detections": dict(zip(names, scores.voc.n_detections.tolist(), strict=True)),
        "VOC": voc,
        "COCO": _coco(scores.coco, names),
        "TIDE": counts,
        "reliability": [
            {key: _number(value) for key, value in asdict(one).items()} for one in scores.reliability
        ],
    }


def _coco(scores: CocoScores, names: Sequence[str]) -> Sheet:
    """Figures as pycocotools lists them; means over thresholds are taken class by class."""
    all_areas, every = 0, slice(None)
    figures: Sheet = {}
    for name, chosen in (("AP50:95", every), ("AP50", [0]), ("AP75", [5])):
        figures[name] = _figure(
            names,
            scores.ap[all_areas, chosen].mean(axis=0),
            worst=scores.ap_worst[chosen].mean(axis=0),
            best=scores.ap_best[chosen].mean(axis=0),
        )
    for area, label in enumerate(AREA_RANGES):
        if area != all_areas:
            figures[f"AP50:95 {label}"] = _figure(names, scores.ap[area].mean(axis=0))
    for m, limit in enumerate(MAX_DETECTIONS):
        figures[f"AR@{limit}"] = _figure(names, scores.recall[all_areas, m].mean(axis=0))
    for area, label in enumerate(AREA_RANGES):
        if area != all_areas:
            figures[f"AR@{MAX_DETECTIONS[-1]} {label}"] = _figure(names, scores.recall[area, -1].mean(axis=0))
    return figures


def _semantic(scores: SemanticScores, names: Sequence[str]) -> Sheet:
    return {
        "mIoU": _figure(names, scores.iou.iou),
        "boundary F": _figure(names, scores.boundary_f),
        "pixel accuracy": {"mean": _number(scores.iou.pixel_accuracy), "classes": {}},
        "confusion": {
            "rows": "ground truth, pixels",
            "labels": [*names, "no class"],
            "pixels": scores.confusion.tolist(),
        },
    }


def _figure(names: Sequence[str], values: FloatArray, **bounds: FloatArray) -> Sheet:
    means = {"mean": _mean(values), **{name: _mean(bound) for name, bound in bounds.items()}}
    return means | {"classes": {name: _number(value) for name, value in zip(names, values, strict=True)}}


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value if isinstance(value, int) else float(value)


def _notes(comparison: Comparison, sheet: Sheet) -> Iterator[str]:
    if missing := sheet["images_without_prediction"]:
        yield f"{missing} images have no prediction; they count as empty"
    if left_out := sheet["predicted_images_left_out"]:
        yield f"predictions for {left_out} images that are not in the ground truth are left out"
    if comparison.instances and not comparison.predictions.has_scores:
        yield "the predictions have no scores: all detections are equals"
    if not comparison.instances:
        yield "instances are not compared: one side has none, or they were not asked for"
    wide = [
        f"{protocol} {name} by {100 * (figure['best'] - figure['worst']):.1f}"
        for protocol in ("VOC", "COCO")
        for name, figure in sheet.get(protocol, {}).items()
        if figure.get("best") is not None and figure["best"] - figure["worst"] > WIDE_RANGE
    ]
    if wide:
        yield f"detections of equal score: their order alone moves {', '.join(wide)} points"


def sheet_rows(sheet: Sheet) -> Iterator[tuple[str, str, str, float | None, float | None, float | None, str]]:
    """Rows (protocol, figure, class or 'mean', value, worst, best, unit); figures in percent."""
    for protocol in ("VOC", "COCO", "semantic"):
        for name, figure in sheet.get(protocol, {}).items():
            if name == "confusion":
                continue
            bounds = (_percent(figure.get("worst")), _percent(figure.get("best")))
            yield protocol, name, "mean", _percent(figure["mean"]), *bounds, "percent"
            for class_name, value in figure["classes"].items():
                yield protocol, name, class_name, _percent(value), None, None, "percent"
    for kind, counts in sheet.get("TIDE", {}).items():
        yield "TIDE", kind, "total", counts["total"], None, None, "count"
        for class_name, count in counts["classes"].items():
            yield "TIDE", kind, class_name, count, None, None, "count"
    for one in sheet.get("reliability", []):
        span = f"score {one['low']:.3g} to {one['high']:.3g}"
        yield "COCO", "detections", span, one["detections"], None, None, "count"
        yield "COCO", "share true at IoU .5", span, _percent(one["share_true"]), None, None, "percent"
    confusion = sheet.get("semantic", {}).get("confusion", {"labels": [], "pixels": []})
    for true, row in zip(confusion["labels"], confusion["pixels"], strict=False):
        for label, pixels in zip(confusion["labels"], row, strict=True):
            yield "semantic", f"{true} labelled as", label, pixels, None, None, "pixels"


def sheet_csv(sheet: Sheet) -> str:
    """The rows of `sheet_rows`; empty where there is no ground truth for a figure."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["protocol", "figure", "class", "value", "worst", "best", "unit"])
    writer.writerows(sheet_rows(sheet))
    return stream.getvalue()


def sheet_text(sheet: Sheet) -> str:
    """Means, classes, errors and notes as aligned text."""
    lines = [
        f"{sheet['predictions']} against {sheet['ground_truth']}: {sheet['images']} images, percent",
    ]
    for protocol in ("VOC", "COCO", "semantic"):
        if protocol in sheet:
            lines += ["", f"{protocol}: {PROTOCOLS[protocol]}", *_mean_lines(sheet[protocol])]
    if "TIDE" in sheet:
        lines += ["", f"TIDE: {PROTOCOLS['TIDE']}"]
        lines += [
            f"  {kind:<18}{counts['total']:>9}  {KINDS[kind]}" for kind, counts in sheet["TIDE"].items()
        ]
    if sheet.get("reliability"):
        lines += [
            "",
            "reliability: of the detections of a range of scores, those that are true at IoU .5 (COCO)",
        ]
        lines += [
            f"  {one['low']:>6.3g} … {one['high']:<6.3g}{one['detections']:>9}{_cell(one['share_true'])}"
            for one in sheet["reliability"]
        ]
    lines += ["", *_class_table(sheet), *(["", *sheet["notes"]] if sheet["notes"] else [])]
    return "\n".join(lines) + "\n"


def _mean_lines(figures: Sheet) -> Iterator[str]:
    for name, figure in figures.items():
        if name != "confusion":
            line = f"  {name:<18}{_cell(figure['mean'])}"
            if "worst" in figure:
                line += f"   equals in any order: {_cell(figure['worst']).strip()} to {_cell(figure['best']).strip()}"
            yield line


CLASS_COLUMNS = (
    ("VOC", "AP50"),
    ("VOC", "AP70"),
    ("COCO", "AP50:95"),
    ("COCO", "AP50"),
    ("semantic", "mIoU"),
    ("semantic", "boundary F"),
)


def _class_table(sheet: Sheet) -> Iterator[str]:
    columns = [(protocol, name) for protocol, name in CLASS_COLUMNS if protocol in sheet]
    values = [sheet[protocol][name]["classes"] for protocol, name in columns]
    names = list(
        dict.fromkeys(name for column in reversed(values) for name in column)
    )  # background comes first
    heads = [f"{protocol} {name}" for protocol, name in columns]
    wide = max((len(name) for name in names), default=0)
    yield " " * wide + "".join(f"{head:>{len(head) + 2}}" for head in heads)
    for name in names:
        cells = (
            f"{_cell(column.get(name)):>{len(head) + 2}}" for column, head in zip(values, heads, strict=True)
        )
        yield f"{name:<{wide}}" + "".join(cells)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)


def _cell(value: float | None) -> str:
    return f"{'–':>9}" if value is None else f"{100 * value:9.1f}"
