"""What the tables show of the scores that are there, in each format, and what vouches for it."""

from __future__ import annotations

import csv
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from irnet_pipe.cli.main import main
from irnet_pipe.errors import ArtifactError
from irnet_pipe.publish import publish
from irnet_pipe.recipes import marker_name, record_path
from irnet_pipe.runtime.attempts import read_attempts
from irnet_pipe.runtime.events import events_path
from irnet_pipe.table_rows import ROWS
from irnet_pipe.tables.publication import read_tables, write_tables
from table_scores import TablesRun, with_tables

MASKRCNN = ["maskrcnn_cam", "maskrcnn_full", "maskrcnn_truth"]


@pytest.fixture
def tables(tiny, tmp_path):
    """Plan the tables of the tiny run, with keys of their section."""
    return lambda **keys: TablesRun(with_tables(tiny, tmp_path, **keys))


def written(run: TablesRun, folder: Path) -> dict[str, str]:
    """Suffix → text of the tables of what is there."""
    write_tables(run.publication, run.results, folder)
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in folder.glob("tables.*")}


def markdown_rows(text: str, title: str) -> dict[str, list[str]]:
    """Cells of a table in Markdown, by the first."""
    section = text.split(f"## {title}")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines}


def ended(run: TablesRun, artifact, *, seconds: float, peak: int) -> None:
    """Events of an attempt at an artifact."""
    path = events_path(run.results, artifact.record)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"time": "2026-03-01T12:00:00+00:00", "attempt": "a"}
    cost = {"wall_seconds": seconds, "user_seconds": 1, "system_seconds": 0, "outcome": "ok"}
    memory = {"peak_memory": peak, "peak_device_memory": None, "device": "cpu"}
    events = [head | {"event": "started", "host": "here"}, head | {"event": "ended"} | cost | memory]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), encoding="utf-8")
    assert read_attempts(run.results, artifact.record)


def test_mean_and_sample_deviation_over_seeds(tables, tmp_path):
    run = tables(rows=MASKRCNN, seeds=[0, 1, 5])
    for seed, (own, full) in {0: (0.2, 0.5), 1: (0.3, 0.4), 5: (0.4, 0.8)}.items():
        run.score("maskrcnn_cam", seed, AP50=own, AP70=own / 2)
        run.score("maskrcnn_truth", seed, AP50=full, AP70=full)
    texts = written(run, tmp_path / "out")
    found = json.loads(texts["json"])["tables"]["maskrcnn"]["rows"]
    cell = found["maskrcnn_cam"]["cells"]["AP50"]
    assert (cell["mean"], cell["std"], cell["n"]) == (pytest.approx(30), pytest.approx(10), 3)
    # seed by seed: 40, 75 and 50 percent
    share = found["maskrcnn_cam"]["cells"]["AP50 share"]
    assert share["mean"] == pytest.approx(55)
    assert share["std"] == pytest.approx(math.sqrt((15**2 + 20**2 + 5**2) / 2))
    rows = markdown_rows(texts["md"], "1. Mask R-CNN")
    assert rows["Mask R-CNN"] == [
        "AP50",
        "AP70",
        "AP50, % of full supervision",
        "AP70, % of full supervision",
        "AP50, Ahn et al. 2019",
        "AP70, Ahn et al. 2019",
    ]
    assert rows["CAM"] == ["30.0 ± 10.0", "15.0 ± 5.0", "55.0 ± 18.0", "27.5 ± 9.0", "–", "–"]
    assert rows["+ displacement field"] == ["–", "–", "–", "–", "46.7", "23.5"]
    assert rows["ground truth (upper bound)"][0] == "56.7 ± 20.8"
    assert rows["ground truth (upper bound)"][4:] == ["67.9", "52.5"]


def test_a_seed_has_no_deviation(tables, tmp_path):
    run = tables(rows=["instance_full"])
    run.score("instance_full", AP25=0.6, AP50=0.5, AP70=0.25, AP75=0.125)
    texts = written(run, tmp_path / "out")
    assert markdown_rows(texts["md"], "1. Pseudo")["+ displacement field"] == [
        "60.0",
        "50.0",
        "25.0",
        "12.5",
        "37.7",
    ]
    assert "±" not in texts["md"]
    assert (
        json.loads(texts["json"])["tables"]["instance"]["rows"]["instance_full"]["cells"]["AP50"]["std"]
        is None
    )


def test_what_was_not_run_is_a_dash_and_n_is_told(tables, tmp_path):
    run = tables(rows=["semantic_cam", "semantic_full"], seeds=[0, 1])
    run.score("semantic_cam", 1, mIoU=0.4)
    texts = written(run, tmp_path / "out")
    rows = markdown_rows(texts["md"], "1. Pseudo semantic")
    assert rows["CAM"] == ["40.0 (n = 1)", "–"]
    assert rows["IRNet"] == ["–", "66.5"]
    cells = {
        name: row["cells"]["mIoU"]
        for name, row in json.loads(texts["json"])["tables"]["semantic"]["rows"].items()
    }
    assert (cells["semantic_cam"]["n"], cells["semantic_full"]["n"]) == (1, 0)
    assert cells["semantic_full"]["mean"] is None


def test_nothing_was_run(tables, tmp_path):
    run = tables()
    texts = written(run, tmp_path / "out")
    contents = json.loads(texts["json"])
    cells = [
        c for t in contents["tables"].values() for row in t["rows"].values() for c in row["cells"].values()
    ]
    assert {cell["n"] for cell in cells} == {0}
    assert "| all rows | – | – | – | – | – | – |" in texts["md"]


def test_figure_without_ground_truth_has_no_value(tables, tmp_path):
    run = tables(rows=["semantic_cam"])
    path = run.score("semantic_cam", mIoU=0.5)
    assert markdown_rows(written(run, tmp_path / "a")["md"], "1. Pseudo")["CAM"][0] == "50.0"
    path.unlink()
    run.score("semantic_cam", mIoU=None)
    assert markdown_rows(written(run, tmp_path / "b")["md"], "1. Pseudo")["CAM"][0] == "–"


def test_shares_need_the_row_of_full_supervision(tables, tmp_path):
    run = tables(rows=["maskrcnn_cam"])
    run.score("maskrcnn_cam", AP50=0.5, AP70=0.25)
    texts = written(run, tmp_path / "out")
    assert markdown_rows(texts["md"], "1. Mask")["CAM"] == ["50.0", "25.0"]
    assert "upper bound" not in texts["md"]


def test_full_supervision_that_reaches_nothing_has_no_shares(tables, tmp_path):
    run = tables(rows=["deeplab_cam", "deeplab_truth"])
    run.score("deeplab_cam", mIoU=0.5)
    run.score("deeplab_truth", mIoU=0.0)
    assert markdown_rows(written(run, tmp_path / "out")["md"], "1. DeepLab")["CAM"][:2] == ["50.0", "–"]


def test_upper_bounds_are_announced(tables, tmp_path):
    run = tables(rows=["deeplab_full", "deeplab_truth"])
    texts = written(run, tmp_path / "out")
    for name in ("md", "tex", "html"):
        assert "an upper bound, not a result of image-level labels" in texts[name]
        assert "ground truth (upper bound)" in texts[name]
    rows = json.loads(texts["json"])["tables"]["deeplab"]["rows"]
    assert [row["upper_bound"] for row in rows.values()] == [False, True]


def test_each_cell_leads_to_its_recipes(tables, tmp_path, capsys):
    run = tables(rows=["semantic_full", "deeplab_cam", "deeplab_truth"], seeds=[0, 1])
    for seed in (0, 1):
        run.score("deeplab_cam", seed, mIoU=0.5)
        run.score("deeplab_truth", seed, mIoU=0.8)
    texts = written(run, tmp_path / "out")
    found = json.loads(texts["json"])
    cells = found["tables"]["deeplab"]["rows"]["deeplab_cam"]["cells"]
    own, full = (run.scores(row, 1).recipe for row in ("deeplab_cam", "deeplab_truth"))
    assert cells["mIoU"]["recipes"]["1"] == [own]
    assert cells["mIoU share"]["recipes"]["1"] == [own, full]
    assert found["recipe"] == run.publication.recipe
    for row in ("semantic_full", "deeplab_cam"):
        for seed in (0, 1):
            path = run.results / run.scores(row, seed).path
            assert str(path) in texts["html"]
            recipe = record_path(run.results, run.scores(row, seed).recipe)
            assert main(["info", str(path if path.exists() else recipe)]) == 0
            assert f"seed {seed}" in capsys.readouterr().out
    (row,) = [
        line
        for line in csv.DictReader(texts["csv"].splitlines())
        if line["figure"] == "mIoU share" and line["row"] == "deeplab_cam"
    ]
    assert row["recipes"].split() == [
        run.scores(r, s).recipe for s in (0, 1) for r in ("deeplab_cam", "deeplab_truth")
    ]


# --- cost


def test_cost_of_a_row_is_that_of_all_it_is_made_of(tables, tmp_path):
    run = tables(rows=["instance_cam", "semantic_cam"], seeds=[0, 1])
    plan = run.run.plan
    for seed in (0, 1):
        (cam,) = [a for a in plan.of("train_cam") if a.label.endswith(f"seed {seed}")]
        ended(run, cam, seconds=100 + 10 * seed, peak=5 << 20)
        run.score("semantic_cam", seed, mIoU=0.4)
        ended(run, run.scores("semantic_cam", seed), seconds=4, peak=9 << 20)
    size = run.score("instance_cam", 0, AP50=0.1).stat().st_size
    ended(run, run.scores("instance_cam", 0), seconds=2, peak=1 << 20)
    contents = read_tables(run.publication, run.results)
    semantic, instance = contents.costs["semantic_cam"], contents.costs["instance_cam"]
    assert semantic.seconds.values == {0: 104, 1: 114}
    assert semantic.peak_memory.values == {0: 9 << 20, 1: 9 << 20}
    # the classifier and its maps in two shards, the masks of two shards, the scores
    assert (semantic.artifacts.values[0], semantic.unknown.values[0]) == (4, 2)
    assert instance.seconds.values == {0: 102}
    assert (instance.artifacts.values, instance.unknown.values) == ({0: 6}, {0: 4})
    assert instance.n_bytes.values == {0: size}
    assert contents.total.seconds.values == {0: 106, 1: 114}
    rows = markdown_rows(written(run, tmp_path / "out")["md"], "3. Cost")
    assert rows["semantic masks: CAM"] == ["109 ± 7", "9 ± 0", "–", "0.0 ± 0.0", "4 ± 0", "2 ± 0"]
    assert rows["all rows"][0] == "110 ± 6"
    assert rows["instance masks: CAM"][0] == "102 (n = 1)"


# --- formats


class Tags(HTMLParser):
    """Open tags must be closed, and nothing be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Nothing to close."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_has_a_plot_for_each_table(tables, tmp_path):
    run = tables()
    run.score("maskrcnn_full", AP50=0.5, AP70=0.1)
    text = written(run, tmp_path / "out")["html"]
    Tags(text)
    assert text.count("<svg") == 5
    # the only bar, and the published figures of the tables
    assert len(re.findall(r'<rect class="bar', text)) == 1
    assert len(re.findall(r'class="cut"', text)) == len([row for row in ROWS if row.published])


def test_latex_is_escaped(tables, tmp_path):
    run = tables(rows=MASKRCNN, seeds=[0, 1])
    for seed in (0, 1):
        run.score("maskrcnn_cam", seed, AP50=0.5, AP70=0.1)
    text = written(run, tmp_path / "out")["tex"]
    assert r"CAM & 50.0 $\pm$ 0.0 & 10.0 $\pm$ 0.0 & -- & -- & -- & -- \\" in text
    assert r"AP50, \% of full supervision" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) == 4 + 5
    assert not re.search(r"[±–]|(?<!\\)[#_]", text.split("\n", 1)[1])
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 2


def test_csv_has_a_row_for_each_cell(tables, tmp_path):
    run = tables(rows=["instance_full"])
    run.score("instance_full", AP25=0.6, AP50=0.51234, AP70=0.25, AP75=0.125)
    rows = list(csv.DictReader(written(run, tmp_path / "out")["csv"].splitlines()))
    figures = [row for row in rows if row["table"] == "instance"]
    assert [row["figure"] for row in figures] == ["AP25", "AP50", "AP70", "AP75"]
    assert (figures[1]["mean"], figures[1]["n"], figures[1]["published"]) == ("51.234", "1", "37.7")
    assert figures[1]["recipes"] == run.scores("instance_full").recipe
    assert {row["row"] for row in rows if row["table"] == "cost"} == {"instance_full", "all"}


# --- publication


def test_publication_is_vouched_for_by_its_marker(tables, tmp_path):
    run, folder = tables(rows=["semantic_cam"]), tmp_path / "tables"
    run.score("semantic_cam", mIoU=0.5)
    publish(record_path(run.results, run.publication.recipe), folder)
    names = {f"tables.{suffix}" for suffix in ("md", "tex", "csv", "json", "html")}
    marker = marker_name(run.publication.recipe)
    assert {path.name for path in folder.iterdir()} == names | {marker}
    assert json.loads((folder / marker).read_text())["from"] == [run.scores("semantic_cam").path]
    assert run.publication.spec["run"] == "tiny/tables"


def test_missing_scores_are_told_and_what_is_there_stays(tables, tmp_path):
    run, folder = tables(rows=["semantic_cam"]), tmp_path / "tables"
    path = run.score("semantic_cam", mIoU=0.5)
    recipe = record_path(run.results, run.publication.recipe)
    publish(recipe, folder)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"evaluate_cam/all\..*json: artifact is missing; run snakemake"):
        publish(recipe, folder)
    assert (folder / marker_name(run.publication.recipe)).exists()


def test_partial_tables_take_the_marker_of_whole_ones_away(tables, tmp_path):
    run, folder = tables(rows=["semantic_cam"]), tmp_path / "tables"
    run.score("semantic_cam", mIoU=0.5)
    publish(record_path(run.results, run.publication.recipe), folder)
    write_tables(run.publication, run.results, folder)
    assert not list(folder.glob("recipe-*.json"))


def test_damaged_scores(tables, tmp_path):
    run = tables(rows=["semantic_cam"])
    path = run.score("semantic_cam", mIoU=0.5)
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.6"), encoding="utf-8")
    with pytest.raises(ArtifactError, match=re.escape(str(path))):
        write_tables(run.publication, run.results, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_verb_prints_and_writes_what_is_there(tiny, tmp_path, capsys):
    values = with_tables(tiny, tmp_path, rows=["semantic_cam", "semantic_full"])
    run = TablesRun(values)
    run.score("semantic_cam", mIoU=0.5)
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    to = tmp_path / "here" / "tables"
    assert main(["tables", "--config", str(tmp_path / "my.yaml"), "--to", str(to)]) == 0
    assert capsys.readouterr().out == (to / "tables.md").read_text(encoding="utf-8")
    rows = markdown_rows((to / "tables.md").read_text(encoding="utf-8"), "1. Pseudo")
    assert (rows["CAM"][0], rows["IRNet"][0]) == ("50.0", "–")


def test_verb_wants_seeds(tiny, tmp_path, capsys):
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
    assert main(["tables", "--config", str(tmp_path / "my.yaml")]) == 2
    assert "tables.seeds names no seed" in capsys.readouterr().err
