"""docs/cli.md: exit codes, verbs and their options, generated from the parser of the command line.

`python -m irnet_pipe.cli.reference` writes it; a test keeps it in step.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from irnet_pipe.cli.main import build_parser
from irnet_pipe.cli.stages import STAGE_VERBS
from irnet_pipe.errors import EXIT_CODES

PAGE = Path("docs", "cli.md")
HEADER = """\
# Command line

Generated from `src/irnet_pipe/cli/` by `make generated`. `--help` of a verb shows the same.

- Errors go to stderr, one line each, beginning with `error:`; results go to stdout.
- `--json` writes one JSON value to stdout in place of lines. [reruns.md](reruns.md) describes those of `status`, `info`
  and `gc`; that of `validate` has the lists `problems` and `summary`, that of `doctor` is a list of `part`, `told` and
  `remedy` (null where all is well).
- `--quiet`, of every verb but `run`, leaves stdout empty (but for `--json`) and stderr to errors and warnings: the exit
  code tells the result.
- irnet_pipe colours nothing. Where `NO_COLOR` is set, `run` has Snakemake colour nothing either. Progress is a bar on a
  terminal, and lines every 15 seconds elsewhere and where `TERM` is `dumb`.
- Ctrl-C once ends a verb: a training saves its state first, all others leave nothing half-written. The same command
  again goes on with what is finished.

## Exit codes
"""
COMPLETION = """\
## Completion

| shell | once |
|---|---|
| bash | `irnet-pipe completion bash > ~/.local/share/bash-completion/completions/irnet-pipe` |
| zsh | `irnet-pipe completion zsh > ~/.zfunc/_irnet-pipe`; `fpath=(~/.zfunc $fpath)` in `~/.zshrc`, before `compinit` |
| fish | `irnet-pipe completion fish > ~/.config/fish/completions/irnet-pipe.fish` |

The folder has to be there. Start a new shell then.
"""
OF_EVERY_VERB = ("--help", "--quiet")


def reference() -> str:
    """The page."""
    (action,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    verbs: dict[str, argparse.ArgumentParser] = action.choices
    summaries = {choice.dest: str(choice.help) for choice in action._choices_actions}
    parts = [HEADER, *_table("code", {str(code): meaning for code, meaning in EXIT_CODES.items()})]
    parts += ["", "`run` ends with the exit code of Snakemake.", "", COMPLETION, "## Verbs"]
    for name, verb in verbs.items():
        if name not in STAGE_VERBS:
            parts += ["", f"### {name}", "", *_verb(summaries[name], verb)]
    stages = {f"`{name}`": summary for name, summary in STAGE_VERBS.items()}
    parts += ["", "## Stages", "", "Snakemake calls these verbs; by hand they do the same.", ""]
    parts += _table("stage", stages)
    parts += ["", *_options(verbs["train_cam"]), "", "`--devices` is an option of trainers alone."]
    return "\n".join([*parts, ""])


def _verb(summary: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    """What a verb does, and its options."""
    yield f"{summary[0].upper()}{summary[1:]}." + (f" {verb.description}" if verb.description else "")
    rows = list(_options(verb))
    if rows:
        yield ""
        yield from rows


def _options(verb: argparse.ArgumentParser) -> Iterator[str]:
    rows = {
        f"`{_usage(action)}`": _meaning(action)
        for action in verb._actions
        if not set(OF_EVERY_VERB) & set(action.option_strings) and action.help
    }
    if rows:
        yield from _table("option", rows)


def _usage(action: argparse.Action) -> str:
    value = action.metavar or (",".join(map(str, action.choices)) if action.choices else action.dest.upper())
    words = [*action.option_strings[-1:], *([] if action.nargs == 0 else [str(value)])]
    return " ".join(words) + (" …" if action.nargs == "+" else "")


def _meaning(action: argparse.Action) -> str:
    return f"{action.help}{'; required' if action.required and action.option_strings else ''}"


def _table(first: str, rows: dict[str, str]) -> Iterator[str]:
    yield from (f"| {first} | meaning |", "|---|---|")
    for name, meaning in rows.items():
        yield f"| {name} | {meaning.replace('|', ',')} |"


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
