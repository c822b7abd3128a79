"""The verbs that put trained segmenters to use: `predict` and `export-model`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from irnet_pipe.cli.output import print_lines
from irnet_pipe.errors import EXIT_FAILED, EXIT_UNFINISHED, InputError
from irnet_pipe.stage_table import SEGMENTERS

if TYPE_CHECKING:
    from irnet_pipe.deployment.onnx_file import Comparison

LEAST_SIDE, MOST_SIDE = 32, 4096
"""Of photos that an ONNX file takes, pixels."""


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to a parser."""
    _add_predict(verbs.add_parser("predict", help="masks of any photos by the trained segmenters of a run"))
    _add_export_model(verbs.add_parser("export-model", help="a trained segmenter as an ONNX file"))


def _add_model(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="RUN",
        help="published folder, outputs/<run>, or weights in it, such as outputs/<run>/maskrcnn.pth",
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another setting than that of the run, such as maskrcnn.infer.short_side=800; may be repeated",
    )
    verb.add_argument("--min-score", type=float, metavar="SCORE", help="in place of maskrcnn.infer.min_score")
    verb.add_argument("--force", action="store_true", help="replace what an earlier call has written")


def _overrides(options: argparse.Namespace) -> list[str]:
    of_score = [] if options.min_score is None else [f"maskrcnn.infer.min_score={options.min_score}"]
    return [*options.set, *of_score]


def _add_predict(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        f"Exit code: {EXIT_UNFINISHED} where photos could not be used and were skipped, else 0."
    )
    verb.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTOS", help="photos, and folders with photos at any depth"
    )
    _add_model(verb)
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write: new or empty")
    verb.add_argument("--segmenter", choices=SEGMENTERS, help="one of those of the run; all if not given")
    verb.add_argument("--no-overlays", action="store_true", help="draw nothing over the photos")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    verb.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from irnet_pipe.deployment.photo_set import photo_set
    from irnet_pipe.deployment.trained import find_segmenters
    from irnet_pipe.runtime.events import Events
    from irnet_pipe.runtime.lease import lease

    photos = photo_set(options.photos, skip=options.out)
    segmenters = find_segmenters(options.model, only=options.segmenter, overrides=_overrides(options))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    with lease(options.device, label=f"predict {options.out}", events=Events()) as device:
        from irnet_pipe.deployment.predict import predict
        from irnet_pipe.runtime.device import use_device

        drawing = {} if options.min_score is None else {"drawn_from": options.min_score}
        skipped = predict(
            photos,
            segmenters,
            to=options.out,
            device=use_device(device),
            force=options.force,
            overlays=not options.no_overlays,
            **drawing,
        )
    done = len(photos.names) - len(skipped)
    print_lines([f"{options.out}: {done} photos" + (f", {len(skipped)} skipped" if skipped else "")])
    return EXIT_UNFINISHED if skipped else 0


def _add_export_model(verb: argparse.ArgumentParser) -> None:
    verb.description = (
        f"Exit code: {EXIT_FAILED} where onnxruntime deviates from torch, and nothing is written."
    )
    verb.add_argument("--onnx", action="store_true", required=True, help="the format")
    _add_model(verb)
    verb.add_argument("--segmenter", choices=SEGMENTERS, help="which, where the run has several")
    verb.add_argument("--size", required=True, metavar="HxW", help="of the photos that it will take, pixels")
    verb.add_argument("--to", type=Path, required=True, metavar="FILE.onnx", help="file to write")
    verb.add_argument(
        "--check", type=Path, metavar="PHOTO", help="photo to compare with torch on, in place of noise"
    )
    verb.set_defaults(run=_export_model)


def _export_model(options: argparse.Namespace) -> int:
    from irnet_pipe.deployment.trained import find_segmenters

    size = _size(options.size)
    _check_file(options.to, force=options.force)
    trained, *others = find_segmenters(options.model, only=options.segmenter, overrides=_overrides(options))
    if others:
        raise InputError(
            f"{options.model}: has several segmenters; give --segmenter {trained.kind}, or another"
        )
    from irnet_pipe.deployment.onnx_file import TOLERANCE, DeviationError, export_onnx

    try:
        comparison = export_onnx(trained, options.to, size=size, photo=options.check)
    except DeviationError as error:
        sys.stderr.write(f"error: {options.to}: not written: {error}\n")
        return EXIT_FAILED
    first = f"{options.to}: {trained.kind} for photos of {size[0]}×{size[1]} pixels"
    print_lines([first, _told(comparison, TOLERANCE)])
    return 0


def _told(comparison: Comparison | None, tolerance: Mapping[str, float]) -> str:
    if comparison is None:
        return "not compared with torch: onnxruntime is not installed (pip install onnxruntime)"
    if comparison.instances == 0:
        return "not compared with torch: no instance was found; give --check a photo that shows some"
    told = (
        f"{name} {value:.2g} (at most {tolerance[name]})" for name, value in comparison.deviations.items()
    )
    of = "" if comparison.instances is None else f" of {comparison.instances} instances"
    return f"largest deviations{of} of onnxruntime from torch: {', '.join(told)}"


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if (
        found is None
        or min(map(int, found.groups())) < LEAST_SIDE
        or max(map(int, found.groups())) > MOST_SIDE
    ):
        raise InputError(
            f"--size {text}: not height and width from {LEAST_SIDE} to {MOST_SIDE}; give them as 512x800"
        )
    return int(found[1]), int(found[2])


def _check_file(path: Path, *, force: bool) -> None:
    if path.suffix != ".onnx":
        raise InputError(f"--to {path}: give a file that ends in .onnx")
    if path.exists() and not force:
        raise InputError(f"{path}: is there already; give --to another name, or replace it by --force")
