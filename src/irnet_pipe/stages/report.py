"""report: one HTML page of scores, training curves and a gallery of all images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.evaluation.tables import join_scores, mean_table, score_rows, upper_bounds
from irnet_pipe.recipes import ancestors
from irnet_pipe.report.album import Album, AlbumRow
from irnet_pipe.report.charts import Chart, Series
from irnet_pipe.report.costs import COSTS_PAGE
from irnet_pipe.report.gallery import class_table, gallery, rows
from irnet_pipe.report.html import Page, Section, Text, render
from irnet_pipe.report.table import Table
from irnet_pipe.runtime.job import Job

OF_GALLERY = (
    "Click an image to see its layers and recipes, and to mark what is wrong. Doubt is 1 where a class that is in the "
    "image has no mask, else 1 − the lowest score of its masks. review.json, named in the config as review, is "
    "honoured by the next run."
)
OF_CLASSES = "Images that have the class, those of them without a mask of it, and its masks."
AROUND = (
    "Semantic masks of some training photos, by the score of the background. Where another looks better, name it in "
    "the config as export.semantic.bg_threshold and export.instance.bg_threshold; what follows is done in minutes."
)
FEW = 30
"""Classes whose table is shown at once."""

TRAINERS = {
    "train_cam": ("Classifier", "cam"),
    "train_irnet": ("IRNet", "irnet"),
    "train_affinitynet": ("AffinityNet", "affinitynet"),
    "train_maskrcnn": ("Mask R-CNN", "maskrcnn"),
    "train_deeplab": ("DeepLab", "deeplab"),
}


def run(job: Job) -> None:
    """Write the page."""
    scores = _scores(job)
    sections = [*_score_sections(scores), *_training(job), *_thresholds(job)]
    units = job.parents("draw_thumbnails")
    if units:
        names = job.fact("classes")
        sections.append(
            Section("Classes", [class_table(units, names)], lead=OF_CLASSES, folded=len(names) > FEW)
        )
        sections.append(Section("Gallery", [gallery(job, units)], lead=OF_GALLERY))
    sections.append(
        Section("Settings", [Text(_settings(job))], lead="Of every stage, by recipe.", folded=True)
    )
    page = Page(
        title="Masks from image-level labels",
        subtitle=_subtitle(job, units),
        figures=_headline(job, scores),
        sections=sections,
        links=[("Time and cost", COSTS_PAGE)],
    )
    with atomic_path(job.output) as temporary:
        temporary.write_text(render(page), encoding="utf-8")


def _scores(job: Job) -> dict[str, Any] | None:
    paths = [*job.parents("evaluate_cam"), *job.parents("evaluate_masks")]
    return join_scores([read_json(path, kind="scores") for path in paths]) if paths else None


def _subtitle(job: Job, units: Sequence[Path]) -> str:
    labels = "Class maps of each photo are those of its own image-level labels."
    predicted = Counter("predicted" in row for row in rows(units))
    if predicted[True]:
        some = f"{predicted[True]} of {predicted.total()}"
        labels = f"The classes of {some} photos below were predicted by the classifier."
    return f"Classes: {', '.join(job.fact('classes'))}. {labels}"


def _headline(job: Job, scores: dict[str, Any] | None) -> list[tuple[str, str]]:
    if scores is None:
        return []
    variant = job.fact("variants")[-1]
    result = scores["variants"][variant]
    figures = [("images scored", str(scores["images"]))]
    for name, figure in (("mIoU", result["semantic"]), *result["instance"].items()):
        if figure["mean"] is not None:
            figures.append((f"{name}, {variant}", f"{100 * figure['mean']:.1f}"))
    return figures


def _score_sections(scores: dict[str, Any] | None) -> Iterator[Section]:
    if scores is None:
        return
    columns, rows = mean_table(scores)
    note = f"Percent, over {scores['images']} images with ground truth; mean over the classes."
    note = " ".join([note, *(f"{line}." for line in upper_bounds(scores))])
    yield Section("Scores", [Table(columns, rows, note=note)])
    per_class: dict[str, dict[str, float | None]] = {}
    figures: list[str] = []
    for variant, figure, name, value in score_rows(scores):
        if name != "mean":
            per_class.setdefault(name, {})[f"{variant} {figure}"] = value
            figures.append(f"{variant} {figure}")
    columns = list(dict.fromkeys(figures))
    rows = [[name, *(values.get(column) for column in columns)] for name, values in per_class.items()]
    yield Section("Scores per class", [Table(["class", *columns], rows)], folded=True)


def _training(job: Job) -> Iterator[Section]:
    charts = []
    for stage, (title, kind) in TRAINERS.items():
        for path in job.parents(stage):
            charts += list(_charts(title, read_weights(path, kind=kind).history))
    if charts:
        yield Section("Training", charts)


def _thresholds(job: Job) -> Iterator[Section]:
    """The curves by which thresholds were chosen, and pictures around that of masks."""
    charts, rows = [], []
    for path in job.parents("select_relation_thresholds"):
        curve = read_json(path, kind="relation_thresholds")
        title = f"relations: {curve['fg_threshold']} and {curve['bg_threshold']}, of {curve['images']} photos"
        charts.append(_curves(title, curve, {"colours explained": "explained"}))
    for path in job.parents("select_thresholds"):
        curve = read_json(path, kind="thresholds")
        title = f"masks: {curve['bg_threshold']}, of {curve['images']} photos"
        names = {"score": "score", "support of outlines": "support", "colours explained": "explained"}
        charts.append(_curves(title, curve, names))
        rows += [_around(picture, str(curve["bg_threshold"])) for picture in curve["pictures"]]
    if charts:
        yield Section("Thresholds chosen", charts)
    if rows:
        yield Section("Masks around the chosen threshold", [Album(rows)], lead=AROUND)


def _around(picture: dict[str, Any], chosen: str) -> AlbumRow:
    shown = [(f"{t}, chosen" if t == chosen else t, address) for t, address in picture["shown"].items()]
    return AlbumRow(picture["image_id"], shown)


def _curves(title: str, curve: dict[str, Any], names: dict[str, str]) -> Chart:
    """Curves over thresholds, each relative to its largest value: what counts is where they are highest."""
    series = []
    for name, key in names.items():
        largest = max(curve[key]) or 1
        series.append(Series(name, curve["thresholds"], [value / largest for value in curve[key]]))
    return Chart(title, series, x_label="score of the background", y_label="of the largest")


def _charts(title: str, history: dict[str, list[float]]) -> Iterator[Chart]:
    """Losses and learning rates over the steps."""
    steps = history.get("step", [])
    curves = {
        name: values for name, values in history.items() if name != "step" and not name.startswith("epoch")
    }
    for heading, rates in (("loss", False), ("learning rate", True)):
        series = [
            Series(name, steps, values) for name, values in curves.items() if name.startswith("lr") == rates
        ]
        if steps and series:
            yield Chart(f"{title}: {heading}", series, x_label="step", y_label=heading)


def _settings(job: Job) -> str:
    """The config keys that went into every stage above the report."""
    settings: dict[str, Any] = {}
    for record in (job.record, *ancestors(job.record, job.results)):
        stage = {**record.spec["config"], **record.spec["files"]}
        settings.setdefault(record.stage, {"version": record.version} | stage)
    text: str = yaml.safe_dump(settings, allow_unicode=True, sort_keys=True)
    return text
