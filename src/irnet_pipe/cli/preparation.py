"""The verbs that come before a run: `validate`, `index_dataset`, and those that fetch, make and convert its files."""

from __future__ import annotations

import argparse
from pathlib import Path

from irnet_pipe.cli.config_option import add_config
from irnet_pipe.cli.output import print_json, print_lines
from irnet_pipe.errors import EXIT_INPUT, InputError, machine_faults_told


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to a parser."""
    for name, run, summary in (
        ("validate", _validate, "check config, files, labels, weights, disk and memory"),
        ("index_dataset", _index_dataset, "read lists, labels and photos; tell every problem"),
    ):
        verb = verbs.add_parser(name, help=summary)
        add_config(verb)
        verb.set_defaults(run=run)
    verbs.choices["validate"].add_argument("--json", action="store_true", help="the same for programs")
    _add_import(verbs.add_parser("import-weights", help="turn weights of the authors' code into ours"))
    _add_download(verbs.add_parser("download", help="fetch a data set"))
    _add_synthetic(verbs.add_parser("synthesize", help="make the demo's synthetic data set"))


def _index_dataset(options: argparse.Namespace) -> None:
    from irnet_pipe.config import load_config
    from irnet_pipe.workflow import prepare

    index = prepare(load_config(*options.config)).index
    counts = (
        f"{len(index.train)} training images, {len(index.label)} to be labelled, {len(index.classes)} classes"
    )
    print_lines([counts])


def _validate(options: argparse.Namespace) -> int:
    from irnet_pipe.config import load_config

    try:
        with machine_faults_told():
            config = load_config(*options.config)
            from irnet_pipe.validate import validate  # with torch, whose import takes seconds

            lines = validate(config)
    except InputError as error:
        if not options.json:
            raise
        print_json({"problems": error.problems, "summary": []})
        return EXIT_INPUT
    if options.json:
        print_json({"problems": [], "summary": lines})
    else:
        print_lines(lines)
    return 0


def _add_import(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "state_dict", type=Path, help="state dict of the authors' code (res50_cam or res50_irn)"
    )
    verb.add_argument("--output", type=Path, required=True, help="weights file to write (.pth)")
    verb.set_defaults(run=_import_weights)


def _import_weights(options: argparse.Namespace) -> None:
    from irnet_pipe.models.reference import import_weights

    weights = import_weights(options.state_dict, options.output)
    print_lines([f"{options.output}: ready; give it as {weights.kind}.trained"])


def _add_download(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dataset", choices=["voc12"], help="PASCAL VOC 2012")
    verb.add_argument("--to", type=Path, required=True, help="folder")
    verb.set_defaults(run=_download)


def _download(options: argparse.Namespace) -> None:
    from irnet_pipe.download import download_voc12

    print_lines([f"{download_voc12(options.to)}: ready; give it as dataset.root"])


def _add_synthetic(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--to", type=Path, required=True, help="folder")
    verb.add_argument("--seed", type=int, default=0, help="of all randomness")
    verb.add_argument("--images", type=int, default=320, help="those of ImageSets/train.txt")
    verb.add_argument("--held-out", type=int, default=0, help="further ones, those of ImageSets/val.txt")
    verb.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> None:
    from irnet_pipe.data.synthetic import generate

    generate(options.to, seed=options.seed, images=options.images, held_out=options.held_out)
    print_lines([f"{options.to}: {options.images + options.held_out} images"])
