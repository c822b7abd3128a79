"""The verb `plan`: what a run will take."""

from __future__ import annotations

import argparse
import json
import os
import sys

from irnet_pipe.cli.config_option import add_config


def add_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to a parser."""
    verb = verbs.add_parser(
        "plan",
        help="what a run will take: jobs, time, memory, disk",
        description="Goes by what earlier jobs took on this machine, and runs the others on a few of the photos.",
    )
    add_config(verb)
    verb.add_argument("--cores", type=_cores, default="all", help="of the run: a number or all")
    verb.add_argument(
        "--no-calibrate", action="store_true", help="run nothing: earlier jobs, else general figures"
    )
    verb.add_argument("--json", action="store_true", help="the same for programs")
    verb.set_defaults(run=_plan)


def _cores(text: str) -> int:
    """Number of cores."""
    if text == "all":
        return len(os.sched_getaffinity(0))
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _plan(options: argparse.Namespace) -> None:
    from irnet_pipe.config import load_config
    from irnet_pipe.forecast import text
    from irnet_pipe.forecast.estimate import estimate
    from irnet_pipe.runtime.lease import list_gpus
    from irnet_pipe.workflow import plan_for

    config = load_config(*options.config)
    found = estimate(
        plan_for(config),
        cores=options.cores,
        gpus=0 if config.runtime.device == "cpu" else len(list_gpus()),
        measured=not options.no_calibrate,
        tell=_tell,
    )
    told = [json.dumps(text.as_json(found), indent=1)] if options.json else list(text.lines(found))
    sys.stdout.write("\n".join([*told, ""]))


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
