"""The machinery of benchmarks/, and every row at toy size. Nothing here looks at how long anything takes."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks.batched import rows_on
from benchmarks.command import ROWS, main
from benchmarks.kernels import ROWS as KERNELS
from benchmarks.paired import HIGH_WATER_RESET, Disagreement, Measurement, Row, Setting, peak_memory
from benchmarks.segmenters import step_agreement
from benchmarks.tables import BEGIN, END, put_into

(REFINE,) = (replace(row, memory=False) for row in KERNELS if row.name == "refine_resting")
MEGABYTE = 10**6


def off_by_one(case):
    return REFINE.theirs(case) + 1


def cases_of_megabytes(setting):
    return setting.choose([1], [1, 2], [40, 20])


def allocate(case):
    return b"1" * (case * MEGABYTE)


def test_rows_are_measured_and_those_that_disagree_fail(tmp_path, capsys):
    broken = replace(REFINE, name="broken", theirs=off_by_one)
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    options = ["--size", "toy", "--pairs", "1", "--markdown", str(page), "--json", str(figures)]

    assert main(options, rows=(broken, REFINE)) == 1

    assert "broken: results disagree: 120 centroids differ" in capsys.readouterr().err
    failed, measured = json.loads(figures.read_text())["rows"]
    assert (failed["row"], failed["failure"]) == ("broken", "results disagree: 120 centroids differ")
    assert (measured["row"], measured["agreement"]) == ("refine_resting", "equal")
    assert len(measured["ratio"]["pairs"]) == 1
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\nMeasured ")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "**failed**" in text


@pytest.mark.skipif(not HIGH_WATER_RESET.exists(), reason="the system tells no peak of memory")
def test_peak_memory_is_that_of_the_largest_case():
    row = Row("memory", "", "", cases_of_megabytes, allocate, allocate, len)
    assert peak_memory(row, Setting("full", 1), "ours") == pytest.approx(40 * MEGABYTE, rel=0.05)


def test_figures_of_pairs_and_cases():
    measured = Measurement(ours=[[1, 1], [1, 3], [2, 2]], theirs=[[2, 8], [2, 10], [6, 2]])
    assert measured.seconds == (4, 10)
    assert measured.ratios == [2, 3, 5]
    assert measured.quartiles == (2.5, 3, 4)
    assert measured.least_ratio == 2


def test_a_page_without_marks_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    with pytest.raises(SystemExit, match="needs one line"):
        put_into(page, "table")


def test_rows_of_a_device_that_is_not_there_are_not_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    figures = tmp_path / "figures.json"
    assert main(["--size", "toy", "--pairs", "1", "--json", str(figures)], rows=rows_on("cuda")) == 0
    (row, *_) = json.loads(figures.read_text())["rows"]
    assert (row["row"], row["not_measured"]) == ("crf_cuda", "no CUDA device")
    assert capsys.readouterr().out.count("| | | not measured | | | | no CUDA device |") == 3


def test_names_are_unique():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("loss", "gradients", "message"),
    [
        (2.1, [[-0.5, 0.5], [0.0, 1.0]], "at most 2e-02"),
        (2.0, [[-0.5, 0.52], [0.0, 1.0]], "at most 2e-02"),
        (float("nan"), [[-0.5, 0.5], [0.0, 1.0]], "at most 2e-02"),
        (2.0, [[-0.5, 0.5], [1.0, 0.0]], "masks of other classes"),
    ],
)
def test_segmenters_that_learn_something_else_disagree(loss, gradients, message):
    def step(loss, gradients):
        return {"a": loss / 2, "b": loss / 2}, [torch.tensor(gradient) for gradient in gradients]

    ours = step(2.0, [[-0.5, 0.5], [0.0, 3.0]])
    assert "loss 2.0000 against 2.0010" in step_agreement(ours, step(2.001, [[-0.5, 0.4995], [0.0, 1.0]]))
    with pytest.raises(Disagreement, match=message):
        step_agreement(ours, step(loss, gradients))


def agreement_at_toy_size(row):
    if row.name.startswith("crf"):
        pytest.importorskip("pydensecrf", reason="needs the extra `bench`")
    cases = row.inputs(Setting("toy", 1))
    return row.agreement(cases, list(map(row.ours, cases)), list(map(row.theirs, cases)))


@pytest.mark.parametrize("row", rows_on("cpu"), ids=lambda row: row.name)
def test_rows_of_batches_agree_on_the_cpu(row):
    assert agreement_at_toy_size(row)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[pytest.mark.gpu] * (row.device == "cuda")) for row in ROWS],
    ids=lambda row: row.name,
)
def test_every_row_agrees_at_toy_size(row):
    assert agreement_at_toy_size(row)
