"""Completion of verbs, options and paths in shells, made from the parser of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from irnet_pipe.cli.output import print_lines

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("DIR", "RUN", "RUN_OUTPUT")
"""Names in help texts of what is a folder."""


def add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], parser: argparse.ArgumentParser
) -> None:
    """Add the verb to the parser that it is about."""
    verb = verbs.add_parser(
        "completion",
        help="completion of verbs and options for a shell",
        description="Prints a script; docs/cli.md says where it goes.",
    )
    verb.add_argument("shell", choices=SHELLS, help="that the script is for")
    verb.set_defaults(run=lambda options: print_lines([script(parser, options.shell)]))


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Text that a shell reads to complete the command line.

    Args:
        parser: of the command line.
        shell: one of `SHELLS`.
    """
    import shtab

    _mark_paths(parser, file=shtab.FILE, folder=shtab.DIRECTORY)
    return str(shtab.complete(parser, shell))


def _mark_paths(parser: argparse.ArgumentParser, **complete: object) -> None:
    """Tell which arguments are paths; shtab looks for the attribute `complete`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                _mark_paths(verb, **complete)
        elif action.type is Path:
            kind = "folder" if action.metavar in FOLDERS else "file"
            action.complete = complete[kind]  # type: ignore[attr-defined]
