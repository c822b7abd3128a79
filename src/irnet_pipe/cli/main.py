"""The command line: one verb per stage, and what people run before and beside a workflow."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from irnet_pipe import __version__
from irnet_pipe.cli import (
    completion,
    deployment,
    evaluate,
    export,
    plan,
    preparation,
    project,
    results,
    stages,
)
from irnet_pipe.cli.output import quiet, take_any_character
from irnet_pipe.errors import (
    EXIT_STOPPED,
    STOPPED,
    InputError,
    Interrupted,
    PeerLost,
    machine_faults_told,
)
from irnet_pipe.near_names import nearest
from irnet_pipe.runtime.ranks import Ranks


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns one of `errors.EXIT_CODES`. `run` ends as snakemake does."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    ranks = Ranks.of(os.environ)
    take_any_character()
    try:
        with machine_faults_told():
            parser = build_parser()
            _check_verb(words, parser)
            options = parser.parse_args(words, argparse.Namespace(words=words, ranks=ranks))
            run: Callable[[argparse.Namespace], int | None] = options.run
            shown = getattr(options, "json", None) is True  # that of `evaluate` names a file
            with quiet(shown=shown) if options.quiet else nullcontext():
                return run(options) or 0
    except (InputError, Interrupted, PeerLost) as error:
        return ranks.end(error)
    except KeyboardInterrupt:
        sys.stderr.write(f"{STOPPED}\n")
        return EXIT_STOPPED


def _check_verb(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    (action,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    if words and not words[0].startswith("-") and words[0] not in action.choices:
        near = nearest(words[0], action.choices)
        remedy = f"did you mean {near}?" if near else "`irnet-pipe --help` lists the verbs"
        raise InputError(f"{words[0]}: no such verb; {remedy}")


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="irnet-pipe",
        description="Instance masks from image-level labels (IRNet).",
        epilog="Verbs from train_cam on are the stages, which Snakemake calls.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(quiet=False)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    project.add_verbs(verbs)
    plan.add_verb(verbs)
    preparation.add_verbs(verbs)
    results.add_verbs(verbs)
    evaluate.add_verb(verbs)
    export.add_verb(verbs)
    deployment.add_verbs(verbs)
    completion.add_verb(verbs, parser)
    stages.add_verbs(verbs)
    for name, verb in verbs.choices.items():
        if name != "run":  # whose words are Snakemake's
            verb.add_argument(
                "--quiet", action="store_true", help="show errors alone, no progress and no summary"
            )
    return parser
