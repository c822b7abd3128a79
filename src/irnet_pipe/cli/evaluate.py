"""The verb `evaluate`: any masks against any ground truth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from irnet_pipe.cli.output import print_lines
from irnet_pipe.errors import InputError

if TYPE_CHECKING:
    from irnet_pipe.evaluation.sources import ImageKey


def add_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to a parser."""
    verb = verbs.add_parser("evaluate", help="score masks of any origin against ground truth")
    verb.add_argument(
        "predictions",
        type=Path,
        help="COCO results json, masks.json, or folder of VOC PNGs",
    )
    verb.add_argument("truth", type=Path, help="COCO json, or folder of VOC PNGs")
    verb.add_argument(
        "--names", type=Path, help="json with the images and categories that COCO results refer to"
    )
    verb.add_argument(
        "--classes", type=Path, help="classes of a VOC palette, one a line; by default PASCAL VOC's"
    )
    verb.add_argument(
        "--subset", action="store_true", help="leave out predictions for images without ground truth"
    )
    verb.add_argument("--only", choices=["instances", "semantic"], help="one part of the scores")
    verb.add_argument(
        "--min-score",
        type=float,
        default=0.5,
        help="instances of COCO results from here on make the label maps (.5)",
    )
    verb.add_argument("--json", type=Path, metavar="FILE", help="all scores, for programs")
    verb.add_argument("--csv", type=Path, metavar="FILE", help="all scores, one a row")
    verb.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from irnet_pipe.artifacts.io import atomic_path
    from irnet_pipe.evaluation.comparison import compare, open_sources
    from irnet_pipe.evaluation.score_sheet import score_sheet, sheet_csv, sheet_text

    predictions, truth = open_sources(
        options.predictions,
        options.truth,
        names=options.names,
        class_names=_class_names(options.classes) if options.classes else None,
        subset=options.subset,
        min_score=options.min_score,
    )
    sheet = score_sheet(
        compare(
            predictions,
            truth,
            instances=options.only != "semantic",
            semantic=options.only != "instances",
            progress=_progress,
        )
    )
    # First of all: a file that cannot be written costs nobody the scores.
    print_lines([sheet_text(sheet).removesuffix("\n")])
    for path, text in (
        (options.json, json.dumps(sheet, indent=1, ensure_ascii=False) + "\n"),
        (options.csv, sheet_csv(sheet)),
    ):
        if path:
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _progress(images: Sequence[ImageKey]) -> Iterable[ImageKey]:
    from irnet_pipe.runtime.progress import Progress

    return Progress(total=len(images), title="evaluate", unit="images").over(images)


def _class_names(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a text file with a class a line") from None
    names = [name.strip() for name in names if name.strip()]
    if len(set(names)) < len(names) or not names:
        raise InputError(
            f"{path}: names no class, or one twice; write each class in a line, in the palette's order"
        )
    return names
