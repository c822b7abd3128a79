# What all rules share. The main process writes the records; everything else here reads records alone.
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shlex import quote

from snakemake.io import report as shown_in_report
from snakemake.settings.types import DeploymentMethod

# From a clone, this process and its jobs find the package without its being installed.
SOURCE = Path(str(workflow.current_basedir)).resolve().parents[1] / "src"
CLONE = SOURCE.is_dir()
if CLONE:
    sys.path.insert(0, str(SOURCE))

from irnet_pipe.config import parse_runtime
from irnet_pipe.errors import EXIT_INPUT, EXIT_STOPPED, STOPPED, InputError
from irnet_pipe.failures import failures
from irnet_pipe.recipes import (
    PUBLISHED_SETTINGS,
    RECIPES,
    marker_name,
    published_files,
    read_record,
    record_path,
)
from irnet_pipe.stage_table import number_stages

# With --sdm conda the rule's own environment brings python; otherwise it is the one that runs snakemake.
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PYTHON = "python" if CONDA else quote(sys.executable)
FOUND = (
    f"export PYTHONPATH='{SOURCE}'${{{{PYTHONPATH:+:$PYTHONPATH}}}}; " if CLONE else ""
)
shell.prefix(f"set -euo pipefail; {FOUND}")


def exit_on_bad_input(error):
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(EXIT_INPUT)


if CONDA and not CLONE:
    exit_on_bad_input(
        InputError(
            "--sdm conda: environments of rules hold no irnet_pipe; run from a clone, or without --sdm conda"
        )
    )

try:
    ROOT, RUNTIME = parse_runtime(config)
except InputError as error:
    exit_on_bad_input(error)

RESULTS = RUNTIME.results
DEVICES = RUNTIME.devices_per_training
START = datetime.now(UTC)
# Only the main process knows what is planned (recipe to artifact, and the number of each stage), and only there the
# publications are made, one a setting.
PLANNED = {}
NUMBERS = {}
PUBLICATIONS = []

if workflow.is_main_process:
    from irnet_pipe.config import parse_config
    from irnet_pipe.workflow import prepare

    try:
        plan = prepare(parse_config(config)).plan
    except InputError as error:
        exit_on_bad_input(error)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    PLANNED = {artifact.recipe: artifact for artifact in plan.artifacts}
    NUMBERS = number_stages(artifact.stage for artifact in plan.artifacts)
    PUBLICATIONS = [target.record for target in plan.targets]


def record(wildcards):
    return read_record(record_path(Path(RESULTS), wildcards.recipe))


def parents(wildcards):
    """Artifacts that a job reads; none where its own artifact exists, which makes that a leaf of the DAG."""
    own = record(wildcards)
    if Path(RESULTS, own.path).exists() and not RUNTIME.whole_graph:
        return []
    return [f"{RESULTS}/{parent.path}" for parent in own.parents]


def label(wildcards):
    """What a job is, for people, with the number of its stage where the plan is known."""
    own = record(wildcards)
    number = f"stage {NUMBERS[own.stage]}: " if own.stage in NUMBERS else ""
    return number + own.label


# A signal to the whole process group, as at a job's time limit, leaves the shell and the log's writer alone: both wait
# while a trainer saves its state, and the log keeps what it says.
WAITING = "trap : INT TERM USR1;"
LOGGED = "2>&1 | (trap '' INT TERM USR1; exec tee {log:q})"


def training_threads(wildcards):
    return record(wildcards).training_threads * DEVICES


def growing(amount):
    """A resource that an attempt after a failed one has more of; set-resources of a profile replaces it."""
    return lambda wildcards, attempt: amount * attempt


def stage_command(stage, **own):
    """Shell command of a stage, with options of its own: the same that a person would type."""
    options = {
        "root": ROOT,
        "workers": RUNTIME.workers,
        "device": RUNTIME.device,
        "checkpoint-minutes": RUNTIME.checkpoint_minutes,
        **own,
    }
    if RUNTIME.scratch is not None:
        options["scratch"] = RUNTIME.scratch
    fixed = " ".join(f"--{name} {quote(str(value))}" for name, value in options.items())
    recipe = f"{RESULTS}/{RECIPES}/{{wildcards.recipe}}.json"
    return (
        f"{WAITING} {PYTHON} -m irnet_pipe {stage} --recipe {quote(recipe)} --output {{output:q}}"
        f" {fixed.replace('{', '{{').replace('}', '}}')} {LOGGED}"
    )


def folder_of(publication):
    return f"{RUNTIME.outputs}/{publication.spec['run']}"


def targets(publication):
    """What people open, and the marker that vouches for it."""
    folder = folder_of(publication)
    return [f"{folder}/{name}" for name in published_files(publication)]


def for_report(publication):
    """What snakemake --report shows of a publication."""
    folder, run = folder_of(publication), publication.spec["run"]
    shown = [("report.html", "report", "Report"), ("counts.json", "masks", "Masks")]
    if "settings" in publication.spec:
        shown = [(PUBLISHED_SETTINGS, "settings", "Settings")]
    elif any(parent.stage == "evaluate_masks" for parent in publication.parents):
        shown.append(("scores.csv", "scores", "Scores"))
    return [
        shown_in_report(
            f"{folder}/{name}",
            caption=f"../report/{caption}.rst",
            category=category,
            labels={"run": run},
        )
        for name, caption, category in shown
    ]


def outputs_of(publication):
    """What a publication declares: each file once, those of snakemake --report marked as such."""
    shown = for_report(publication)
    return [name for name in targets(publication) if name not in shown] + shown


def published(publication):
    """What a publication copies; none where it is already there."""
    if (
        all(Path(target).exists() for target in targets(publication))
        and not RUNTIME.whole_graph
    ):
        return []
    return [f"{RESULTS}/{parent.path}" for parent in publication.parents]


def publish_command(publication):
    recipe, folder = f"{RESULTS}/{RECIPES}/{publication.recipe}.json", folder_of(
        publication
    )
    return f"{PYTHON} -m irnet_pipe.publish --recipe {quote(recipe)} --output {quote(folder)}"


def tables_command(wildcards):
    return publish_command(record(wildcards))


@cache
def tables_marker():
    """The marker of the tables, whose plan is made here: runs that nobody asks for tables do without."""
    from irnet_pipe.workflow import prepare_tables

    try:
        tables = prepare_tables(parse_config(config)).plan
    except InputError as error:
        exit_on_bad_input(error)
    PLANNED.update({artifact.recipe: artifact for artifact in tables.artifacts})
    NUMBERS.update(number_stages(artifact.stage for artifact in PLANNED.values()))
    (publication,) = tables.targets
    return f"{folder_of(publication.record)}/{marker_name(publication.recipe)}"


def tables_parents(wildcards):
    """Scores that the tables show; none where the tables are already there."""
    publication = record(wildcards)
    marker = Path(folder_of(publication), marker_name(publication.recipe))
    if marker.exists() and not RUNTIME.whole_graph:
        return []
    return [f"{RESULTS}/{parent.path}" for parent in publication.parents]


onsuccess:
    # Below all that snakemake prints: what to open.
    for publication in PUBLICATIONS:
        folder = Path(folder_of(publication))
        marker = folder / marker_name(publication.recipe)
        if marker.exists() and marker.stat().st_mtime >= START.timestamp():
            settings = "settings" in publication.spec
            page = folder / (PUBLISHED_SETTINGS if settings else "report.html")
            print(f"published: {page}", file=sys.stderr)


onerror:
    # Among all that snakemake prints, a failure may lie far above the end.
    records = (artifact.record for artifact in PLANNED.values())
    for line in failures(records, Path(RESULTS), since=START):
        print(line, file=sys.stderr)


wildcard_constraints:
    recipe="[0-9a-f]{16}",
    unit="all|(train|label)-[0-9]+-of-[0-9]+",
    run="[A-Za-z0-9][A-Za-z0-9._-]*",
