"""The verb `export`: masks of a published run in the formats of other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from irnet_pipe.cli.output import print_lines
from irnet_pipe.errors import InputError
from irnet_pipe.export.formats import FORMATS
from irnet_pipe.export.placing import NONE, PLACINGS

if TYPE_CHECKING:
    from irnet_pipe.export.dataset import Dataset

URL_PREFIX = "/data/local-files/?d="
"""Of Label Studio's local storage."""


def add_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to a parser."""
    verb = verbs.add_parser(
        "export",
        help="masks of a published run in the format of another tool",
        description="Formats: "
        + "; ".join(f"{name}: {known.summary}" for name, known in FORMATS.items())
        + ".",
    )
    verb.add_argument("run_output", type=Path, metavar="RUN_OUTPUT", help="published folder: outputs/<run>")
    verb.add_argument("--format", choices=FORMATS, required=True, help="see above")
    verb.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write: new or empty")
    verb.add_argument("--force", action="store_true", help="replace an earlier export in DIR")
    verb.add_argument(
        "--variant", help="cam, affinitynet, boundary or full; the last of export.variants if not given"
    )
    verb.add_argument(
        "--val-share", type=float, default=0, metavar="SHARE", help="images that go to val, 0…1"
    )
    verb.add_argument(
        "--photos", choices=PLACINGS, default=NONE, help="put the photos beside (default: none)"
    )
    verb.add_argument("--root", type=Path, help="folder of the photos (dataset.root), for --photos")
    verb.add_argument(
        "--url-prefix", default=URL_PREFIX, metavar="URL", help="before a photo's path (label-studio)"
    )
    verb.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from irnet_pipe.export.convert import convert

    counts = convert(_dataset(options), options.format, to=options.to, force=options.force)
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    print_lines([f"{options.to}: {told}"])


def _dataset(options: argparse.Namespace) -> Dataset:
    from irnet_pipe.export.dataset import Dataset
    from irnet_pipe.export.published import open_published

    _check(options)
    return Dataset(
        open_published(options.run_output, variant=options.variant),
        val_share=options.val_share,
        placing=options.photos,
        root=options.root,
        url_prefix=options.url_prefix,
    )


def _check(options: argparse.Namespace) -> None:
    if not 0 <= options.val_share < 1:
        raise InputError(f"--val-share is {options.val_share}, must be 0 or more and below 1; 0.2 is usual")
    if options.photos == NONE:
        return
    if options.root is None:
        raise InputError(f"--photos {options.photos} needs --root, the folder that dataset.root names")
    if not options.root.is_dir():
        raise InputError(f"--root {options.root}: no such folder; give the folder that dataset.root names")
    if options.photos == "link" and not FORMATS[options.format].links_photos:
        raise InputError(
            f"--photos link: {options.format} is a zip, which holds no links; give --photos copy"
        )
