"""Measure rows and print the table: `python -m benchmarks`.

Exit code 1 where results disagree or a row cannot be measured; that row is named.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import batched, feeding, kernels, scoring, segmenters, stages
from benchmarks.paired import Disagreement, Row, Setting, measure
from benchmarks.tables import (
    HEAD,
    Outcome,
    as_json,
    as_markdown,
    describe_machine,
    load,
    put_into,
    table_line,
)

ROWS = (*kernels.ROWS, *batched.ROWS, *scoring.ROWS, *stages.ROWS, *segmenters.ROWS, *feeding.ROWS)


def main(arguments: Sequence[str] | None = None, *, rows: Sequence[Row] = ROWS) -> int:
    """Run the command.

    Args:
        arguments: of the command line; those of the process if None.
        rows: that there are.

    Returns:
        Exit code.
    """
    options = _parser(rows).parse_args(arguments)
    size = "quick" if options.quick else options.size
    setting = Setting(size, options.pairs, options.photos, memory=not options.quick)
    chosen = [row for row in rows if not options.rows or row.name in options.rows]
    machine = describe_machine() | {"load_before": load()}
    print(HEAD)
    outcomes: list[Outcome] = []
    for row in chosen:
        outcomes.append(_measured(row, setting))
        print(table_line(outcomes[-1]), flush=True)
        # after each row: a run takes most of an hour, and what is measured is kept when it is stopped
        _write(options, outcomes, setting, machine | {"load_after": load()})
    failed = [outcome for outcome in outcomes if outcome.failure]
    for outcome in failed:
        print(f"{outcome.row.name}: {outcome.failure}", file=sys.stderr)
    return 1 if failed else 0


def _write(
    options: argparse.Namespace, outcomes: list[Outcome], setting: Setting, machine: dict[str, Any]
) -> None:
    if options.markdown:
        put_into(options.markdown, as_markdown(outcomes, setting, machine))
    if options.json:
        text = json.dumps(as_json(outcomes, setting, machine), indent=1, ensure_ascii=False)
        options.json.write_text(f"{text}\n", encoding="utf-8")


def _measured(row: Row, setting: Setting) -> Outcome:
    if row.device == "cuda" and not torch.cuda.is_available():
        return Outcome(row, None, missing="no CUDA device")
    try:
        return Outcome(row, measure(row, setting))
    except Disagreement as difference:
        return Outcome(row, None, f"results disagree: {difference}")
    except Exception as error:  # noqa: BLE001 (a row that fails is told, and the others are measured)
        traceback.print_exc()
        return Outcome(row, None, f"not measured: {error}")


def _parser(rows: Sequence[Row]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure rows and print the table."
    )
    names = [row.name for row in rows]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--pairs", type=int, default=5, help="how often both sides run after the first time (5)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, and no peak memory")
    parser.add_argument("--size", choices=("toy", "quick", "full"), default="full", help=argparse.SUPPRESS)
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos to measure on; the generator's if not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table between the marks of a page"
    )
    return parser
