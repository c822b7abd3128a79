"""The verbs that look at results: `status`, `info`, `tables` and `gc`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from irnet_pipe.cli.config_option import add_config
from irnet_pipe.cli.output import print_json, print_lines
from irnet_pipe.errors import EXIT_UNFINISHED, InputError

if TYPE_CHECKING:
    from irnet_pipe.config import Config
    from irnet_pipe.data.scan import StatCache
    from irnet_pipe.workflow import PlannedRun


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to a parser."""
    _add_status(verbs.add_parser("status", help="what of a run is there, what is to be done, and why"))
    _add_info(verbs.add_parser("info", help="what an artifact was made of, or in what two differ"))
    _add_tables(verbs.add_parser("tables", help="the paper's tables of what is there so far"))
    _add_gc(verbs.add_parser("gc", help="find and remove what no run reaches, or what is damaged"))


def _add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="the same for programs")


def _add_status(verb: argparse.ArgumentParser) -> None:
    verb.description = f"Exit code: 0 where the run is published, {EXIT_UNFINISHED} where it is not."
    add_config(verb)
    _add_json(verb)
    verb.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from irnet_pipe import status_report
    from irnet_pipe.config import load_config
    from irnet_pipe.status import status_of
    from irnet_pipe.workflow import plan_for

    status = status_of(plan_for(load_config(*options.config)))
    if options.json:
        print_json(status_report.as_json(status))
    else:
        print_lines(status_report.lines(status))
    return 0 if status.done else EXIT_UNFINISHED


def _add_info(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", type=Path, help="artifact, or record of one (results/recipes/*.json)")
    verb.add_argument("other", type=Path, nargs="?", help="another one: tell in what the two differ")
    _add_json(verb)
    verb.set_defaults(run=_info)


def _info(options: argparse.Namespace) -> None:
    from irnet_pipe import info

    if options.json:
        print_json(
            info.compared(options.file, options.other) if options.other else info.described(options.file)
        )
    else:
        print_lines(
            info.compare(options.file, options.other) if options.other else info.describe(options.file)
        )


def _add_tables(verb: argparse.ArgumentParser) -> None:
    verb.description = "Cells that were not run are –; `snakemake tables` runs them all."
    add_config(verb)
    verb.add_argument(
        "--to", type=Path, metavar="DIR", help="write tables.md, .tex, .csv, .json and .html there"
    )
    verb.set_defaults(run=_tables)


def _tables(options: argparse.Namespace) -> None:
    from irnet_pipe.config import load_config
    from irnet_pipe.tables.formats import markdown
    from irnet_pipe.tables.publication import read_tables, write_tables
    from irnet_pipe.workflow import prepare_tables

    tables = prepare_tables(load_config(*options.config))
    (publication,) = (target.record for target in tables.plan.targets)
    if options.to:
        write_tables(publication, tables.results, options.to)
    print_lines(markdown(read_tables(publication, tables.results)).splitlines())


def _add_gc(verb: argparse.ArgumentParser) -> None:
    verb.description = f"Exit code: {EXIT_UNFINISHED} where --damaged finds files and leaves them, else 0."
    verb.add_argument(
        "--config",
        type=Path,
        nargs="+",
        action="append",
        required=True,
        metavar="FILE",
        help="YAML files of one run, later ones override; repeat the option for each further run to be kept",
    )
    verb.add_argument("--damaged", action="store_true", help="read all files, and find the damaged ones")
    verb.add_argument("--yes", action="store_true", help="remove what is found")
    _add_json(verb)
    verb.set_defaults(run=_gc)


def _gc(options: argparse.Namespace) -> int:
    from irnet_pipe.config import load_config
    from irnet_pipe.runtime.lock import idle

    configs = [load_config(*files) for files in options.config]
    results = _results_folder(configs)
    with idle(results) if options.yes else nullcontext():
        if options.damaged:
            return _collect_damaged(results, remove=options.yes, as_json=options.json)
        return _collect_garbage(results, configs, remove=options.yes, as_json=options.json)


def _results_folder(configs: Sequence[Config]) -> Path:
    folders = {Path(config.runtime.results) for config in configs}
    if len({folder.resolve() for folder in folders}) > 1:
        raise InputError(
            f"the configs have several results folders ({', '.join(sorted(map(str, folders)))}); "
            "clean one folder at a time, with all configs that use it"
        )
    return min(folders)


def _collect_garbage(results: Path, configs: Sequence[Config], *, remove: bool, as_json: bool) -> int:
    from irnet_pipe.artifact_files import size_text
    from irnet_pipe.garbage import find_garbage
    from irnet_pipe.index import stat_cache

    cache = stat_cache(results)
    runs, tables = _planned(configs, cache)
    garbage = find_garbage(results, [*runs, *tables])
    unused = cache.unused
    if remove:
        for item in garbage:
            item.remove()
        cache.prune()
        cache.save()
    if as_json:
        items = [{"kind": item.kind, "path": str(item.path), "bytes": item.size} for item in garbage]
        print_json({"removed": remove, "items": items, "forgotten": unused})
        return 0
    total = f"{len(garbage)} items, {size_text(sum(item.size for item in garbage))}"
    print_lines(
        [
            f"kept: all that these runs reach: {', '.join(run.config.run for run in runs)}",
            *(f"{item.kind:<14}  {size_text(item.size):>10}  {item.path}" for item in garbage),
            *([f"facts about {unused} files that none of the runs reads"] if unused else []),
            f"removed: {total}" if remove else f"to be removed by --yes: {total}",
        ]
    )
    return 0


def _planned(configs: Sequence[Config], cache: StatCache) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Each run, and the tables of those that ask for them."""
    from irnet_pipe.workflow import plan_for, plan_tables_for

    runs = [plan_for(config, cache=cache) for config in configs]
    return runs, [plan_tables_for(config, cache=cache) for config in configs if config.tables.seeds]


def _collect_damaged(results: Path, *, remove: bool, as_json: bool) -> int:
    from irnet_pipe.damage import find_damaged

    found = {}
    for path, error in find_damaged(results):
        found[str(path)] = str(error)
        if not as_json:
            print_lines([str(error)])
        if remove:
            path.unlink()
    if as_json:
        damaged = [{"path": path, "problem": problem} for path, problem in found.items()]
        print_json({"removed": remove, "damaged": damaged})
    elif not found:
        print_lines([f"{results}: no damage found"])
    elif remove:
        print_lines([f"deleted: {len(found)} files; the next snakemake run makes anew what it needs of them"])
    else:
        print_lines([f"damaged: {len(found)} files; --yes deletes them"])
    return EXIT_UNFINISHED if found and not remove else 0
