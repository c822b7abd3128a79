"""Files of a new project as text: config, Snakefile, README, table of labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import yaml

from irnet_pipe.errors import InputError

CONFIG, SNAKEFILE, README, LABELS, TRAIN = (
    "config.yaml",
    "Snakefile",
    "README.md",
    "labels.csv",
    "labelled_photos.txt",
)
JOINER = ";"

SNAKEFILE_TEXT = """\
# The workflow that irnet_pipe brings, for the photos that config.yaml names: snakemake --cores all
from irnet_pipe.bundled_files import SNAKEFILE


configfile: "config.yaml"


include: str(SNAKEFILE)


localrules:
    everything,


# The default target of a file that is included does not count.
rule everything:
    default_target: True
    input:
        rules.all.input,
"""

COMMENTS = {
    "run": "results appear in outputs/<run>/",
    "dataset.root": "photos; never written to",
    "dataset.labels": "image-level labels, relative to root",
    "dataset.train": "photos with labels train",
    "dataset.label": "all photos get masks",
    "dataset.missing": "the classifier names the classes of photos without labels",
    "dataset.working_long_side": "larger photos are computed at this size",
    "cam": "the classifier",
    "irnet.train": "boundaries and displacements",
    "irnet.radius": "neighbours are nearer than this, in steps of 4 pixels",
    "relations": "auto: chosen from photos and labels",
    "export": "likewise; the larger the threshold, the smaller the masks",
    "random_walk": "scores spread in 2^exp_times steps",
    "shards": "jobs that a stage is cut into",
}
ORDER = ("run", "dataset", "cam", "relations", "irnet")
NESTED = ("dataset", "irnet")
"""Sections with a line a key; 20 lines are to do for all."""


def config_text(values: Mapping[str, Any], *, photos: int, device: str) -> str:
    """The config: a line a section, or a key, deeper ones within braces; the first one says whence it comes.

    Args:
        values: nested values.
        photos: number of photos that they fit.
        device: likewise.
    """
    lines = []
    for name in [
        *(name for name in ORDER if name in values),
        *(name for name in values if name not in ORDER),
    ]:
        value = values[name]
        if name not in NESTED:
            lines.append(_line(name, value))
            continue
        lines.append(f"{name}:")
        lines += [f"  {_line(f'{name}.{key}', inner)}" for key, inner in value.items()]
    lines[0] += (
        f"; made by irnet-pipe init for {photos} photos and {device}: change what you like, then run again"
    )
    return "\n".join([*lines, ""])


def _line(path: str, value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    text = text.removesuffix("\n").removesuffix("...").strip()
    comment = COMMENTS.get(path)
    return f"{path.rpartition('.')[2]}: {text}" + (f"  # {comment}" if comment else "")


def table_text(names: Mapping[str, tuple[str, ...]]) -> str:
    """A table of labels, a row an image; classes are joined by ; with one at the end, so that names may hold spaces.

    Raises:
        InputError: a class name holds the joiner.
    """
    wrong = sorted({name for row in names.values() for name in row if JOINER in name})
    if wrong:
        raise InputError(f"class {wrong[0]!r} holds {JOINER!r}, by which labels are joined; rename it")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "labels"])
    writer.writerows(
        [image_id, "".join(f"{name}{JOINER}" for name in row)] for image_id, row in names.items()
    )
    return text.getvalue()


def readme_text(run: str) -> str:
    """What to do in the folder."""
    return f"""\
# {run}

Masks from image-level labels, made by irnet_pipe.

    irnet-pipe validate   # every problem, before anything is trained
    irnet-pipe plan       # what a run will take: time, memory, disk
    irnet-pipe run        # the same as snakemake --cores all
    irnet-pipe status     # what is there, and what would run

On a machine with a GPU add `--profile profiles/workstation` to `irnet-pipe run`, on a Slurm cluster
`--profile profiles/slurm`, where your partition is to be named.

| file | what |
|---|---|
| `config.yaml` | settings; after a change the same command does what the change requires |
| `Snakefile` | leads to the workflow of the installed package |
| `profiles/` | settings of machines |
| `outputs/{run}/` | masks.json, PNGs, report.html, once the run has ended |
| `results/` | what was computed; may be deleted |
"""
