"""Publication: copies what people open to outputs/<run>/ under plain names.

The command of the rules `publish` and `publish_tables`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.errors import (
    EXIT_INPUT,
    EXIT_STOPPED,
    STOPPED,
    ArtifactError,
    InputError,
    machine_faults_told,
)
from irnet_pipe.evaluation.tables import join_scores, scores_csv, summary_text
from irnet_pipe.recipes import MARKERS, PUBLISHED_MASKS, Parent, Record, ancestors, marker_name, read_record
from irnet_pipe.report.costs import COSTS_PAGE, COSTS_TABLE, Cost, costs_csv, costs_page
from irnet_pipe.report.gallery_data import FOLDER as GALLERY
from irnet_pipe.report.side_by_side import write_settings
from irnet_pipe.runtime.attempts import read_attempts
from irnet_pipe.stage_table import SEGMENTERS
from irnet_pipe.tables.publication import write_tables
from irnet_pipe.text_files import replace_text
from irnet_pipe.unpacking import unpack_member

VARIANTS = "variants"
FOLDERS = ("SegmentationClass", "SegmentationObject", VARIANTS, GALLERY)
FILES = (
    *(MARKERS, PUBLISHED_MASKS, "counts.json", "scores.*", "summary.txt", "report.html", "costs.*"),
    *(f"{name}.{ext}" for name in SEGMENTERS for ext in ("pth", "json")),
)


def publish(recipe: Path, output: Path) -> None:
    """Publish a run, its tables, or its settings side by side.

    What an earlier publication has left is removed first, and the marker of the recipe is written last: it vouches
    for all that lies beside it.

    Args:
        recipe: record of the publication.
        output: outputs/<run>, outputs/<run>/tables or outputs/<run>/settings.

    Raises:
        ArtifactError: an artifact to be published is missing or damaged.
    """
    record, results = read_record(recipe), recipe.parent.parent
    for parent in record.parents:
        if not (results / parent.path).is_file():
            raise ArtifactError(
                f"{results / parent.path}: artifact is missing; run snakemake, which makes it anew"
            )
    if "cells" in record.spec:
        write_tables(record, results, output)
    elif "settings" in record.spec:
        write_settings(record, results, output)
    else:
        _publish_run(record, results, output)
    replace_text(output / marker_name(record.recipe), _provenance(record))


def _publish_run(record: Record, results: Path, output: Path) -> None:
    _clear(output)
    *others, primary = [parent for parent in record.parents if parent.stage == "gather_masks"]
    _unpack(results / primary.path, output)
    for other in others:
        _unpack(results / other.path, output / VARIANTS / _variant(results, other))
    made_of = ancestors(record, results)
    for parent in record.parents:
        if parent.stage == "draw_thumbnails":
            _unpack(results / parent.path, output / GALLERY / parent.unit)
        _copy(results / parent.path, parent.stage, output, made_of=made_of)
    scored = [results / parent.path for parent in record.parents if parent.stage.startswith("evaluate_")]
    if scored:
        _write_scores(scored, output)
    costs = [Cost(above, read_attempts(results, above)) for above in made_of]
    replace_text(output / COSTS_TABLE, costs_csv(costs))
    replace_text(output / COSTS_PAGE, costs_page(costs, run=output.name))


def _clear(output: Path) -> None:
    """Make the folder, and remove what was published there before, by whatever config."""
    output.mkdir(parents=True, exist_ok=True)
    for pattern in FILES:
        for path in output.glob(pattern):
            path.unlink()
    for name in FOLDERS:
        shutil.rmtree(output / name, ignore_errors=True)


def _variant(results: Path, parent: Parent) -> str:
    return str(read_record(results / "recipes" / f"{parent.recipe}.json").spec["variant"])


def _unpack(archive: Path, folder: Path) -> None:
    with open_tar(archive) as tar:
        for member in tar:
            unpack_member(tar, member, folder)


def _write_scores(paths: Sequence[Path], output: Path) -> None:
    scores = join_scores([read_json(path, kind="scores") for path in paths])
    replace_text(output / "scores.json", json.dumps(scores, indent=1, ensure_ascii=False) + "\n")
    replace_text(output / "scores.csv", scores_csv(scores))
    replace_text(output / "summary.txt", summary_text(scores))


def _copy(path: Path, stage: str, output: Path, *, made_of: Sequence[Record]) -> None:
    if stage.removeprefix("train_") in SEGMENTERS:
        # torch is imported where there are weights alone
        from irnet_pipe.export.torchvision_weights import export_weights

        kind = stage.removeprefix("train_")
        settings = [above.spec["config"] for above in made_of if above.stage == f"infer_{kind}"]
        export_weights(path, output, kind=kind, inference=settings[0])
    elif stage == "report":
        try:
            replace_text(output / "report.html", path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{path}: damaged ({error}); delete it and run snakemake again") from None


def _provenance(record: Record) -> str:
    parents = [parent.path for parent in record.parents]
    return json.dumps({"recipe": record.recipe, "label": record.label, "from": parents}, indent=1) + "\n"


def main() -> int:
    """Publish the run that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="record of the publication")
    parser.add_argument("--output", type=Path, required=True, help="folder: outputs/<run>")
    options = parser.parse_args()
    try:
        with machine_faults_told():
            publish(options.recipe, options.output)
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_INPUT
    except KeyboardInterrupt:
        sys.stderr.write(f"{STOPPED}\n")
        return EXIT_STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
