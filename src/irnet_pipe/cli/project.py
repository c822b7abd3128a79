"""The verbs `init`, `run` and `doctor`: from a folder of photos to a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from irnet_pipe.cli.output import print_json, print_lines
from irnet_pipe.errors import EXIT_FAILED, InputError

CORES = ("--cores", "-c", "--jobs", "-j", "--profile", "--executor", "-e")
"""Options of Snakemake beside which it is not told to use all cores."""

WEIGHTS = (".weights", ".trained")
"""Ends of keys that may name a file."""


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to a parser."""
    init = verbs.add_parser(
        "init",
        help="make a folder to run in, from photos and their labels",
        description="Finds out how photos are labelled, tells it, and writes config, Snakefile and profiles.",
    )
    init.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of the photos; never written to")
    init.add_argument(
        "--labels", type=Path, help="file or folder of the labels, if it does not lie with the photos"
    )
    init.add_argument("--to", type=Path, metavar="DIR", help="folder to make (default: PHOTOS-irnet)")
    init.add_argument(
        "--force", action="store_true", help="write over an earlier folder of init; results stay"
    )
    init.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the config, such as cam.train.epochs=3",
    )
    init.add_argument(
        "--gpu",
        type=float,
        metavar="GIB",
        help="fit to a GPU of this memory, not to this machine; 0: to its CPU",
    )
    init.set_defaults(run=_init)
    # Every word behind it is Snakemake's: no option of ours begins with this prefix.
    run = verbs.add_parser(
        "run",
        help="run the workflow in a folder of init, as snakemake --cores all does; options are Snakemake's",
        prefix_chars="\0",
        add_help=False,
    )
    run.add_argument("words_of_snakemake", nargs="*")
    run.set_defaults(run=_run)
    doctor = verbs.add_parser(
        "doctor",
        help="check this machine, and tell the remedy of what is wrong",
        description=f"Exit code: 0 where all is well, {EXIT_FAILED} where a line says wrong.",
    )
    doctor.add_argument("--json", action="store_true", help="the same for programs")
    doctor.set_defaults(run=_doctor)


def _init(options: argparse.Namespace) -> None:
    overrides = _nested(options.set)
    from irnet_pipe.project.create import create_project
    from irnet_pipe.project.machine import chosen_machine

    machine = chosen_machine(options.gpu)
    made = create_project(
        options.photos,
        options.labels,
        to=options.to,
        force=options.force,
        machine=machine,
        overrides=overrides,
    )
    gpu = "" if machine.device == "cpu" else " --profile profiles/workstation"
    lines = [*made.lines, f"fitted to: {machine.device}, {machine.memory / 2**30:.0f} GiB of memory"]
    verbs = f"irnet-pipe validate && irnet-pipe run{gpu}"
    lines += [f"made: {made.folder}", f"next: cd {_quoted(made.folder)} && {verbs}"]
    print_lines(lines)


def _doctor(options: argparse.Namespace) -> int:
    from irnet_pipe.project.doctor import examine_machine, lines

    findings = list(examine_machine(Path.cwd()))
    if options.json:
        print_json([vars(finding) | {"wrong": finding.wrong} for finding in findings])
    else:
        print_lines(lines(findings))
    return EXIT_FAILED if any(finding.wrong for finding in findings) else 0


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(os.path.relpath(path))


def _nested(settings: Iterable[str]) -> dict[str, Any]:
    """Values of --set by section."""
    import yaml

    from irnet_pipe.config.presets import merge

    values: dict[str, Any] = {}
    for setting in settings:
        key, mark, text = setting.partition("=")
        if not mark or not all(key.split(".")):
            raise InputError(f"--set {setting}: expected KEY=VALUE, such as cam.train.epochs=3")
        try:
            value: Any = yaml.safe_load(text)
        except yaml.YAMLError:
            raise InputError(f"--set {setting}: the value is no YAML; quote it") from None
        if key.endswith(WEIGHTS) and isinstance(value, str) and Path(value).is_file():
            value = str(Path(value).resolve())  # the run starts in another folder
        for part in reversed(key.split(".")):
            value = {part: value}
        values = merge(values, value)
    return values


def _run(options: argparse.Namespace) -> None:
    words = options.words_of_snakemake
    if not Path("Snakefile").is_file() and not {"-s", "--snakefile"} & set(words):
        raise InputError(
            f"{Path.cwd()}: has no Snakefile; change into a folder that irnet-pipe init has made"
        )
    from runpy import run_module

    # in this process: its exit code is this one's, and Ctrl-C is told in our words even while it is being loaded
    sys.argv = ["snakemake", *snakemake_words(words)]
    run_module("snakemake", run_name="__main__", alter_sys=True)


def snakemake_words(words: list[str]) -> list[str]:
    """Command line of a run, without the program.

    Args:
        words: options of Snakemake; those that choose cores or a profile count.
    """
    chosen = any(word.split("=")[0] in CORES or _is_short(word) for word in words)
    cores = [] if chosen else ["--cores", "all"]
    colour = ["--nocolor"] if os.environ.get("NO_COLOR") else []  # https://no-color.org
    return [*cores, *colour, *words]


def _is_short(word: str) -> bool:
    """Whether a word is -c or -j with its number, such as -c4."""
    return word[:2] in ("-c", "-j") and word[2:].isdecimal()
