"""The command line: one verb per stage, and what people run before and beside a workflow."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

from irnet_pipe import (
    __version__,
    cli_deployment,
    cli_evaluate,
    cli_export,
    cli_plan,
    cli_project,
    cli_results,
)
from irnet_pipe.cli_output import print_json, print_lines, quiet, take_any_character
from irnet_pipe.errors import (
    EXIT_INPUT,
    EXIT_STOPPED,
    STOPPED,
    InputError,
    Interrupted,
    PeerLost,
    machine_faults_told,
)
from irnet_pipe.near_names import nearest
from irnet_pipe.runtime.ranks import Ranks, end_with_parent
from irnet_pipe.stage_table import DEVICE_STAGES, TRAINERS

STAGE_VERBS = {
    "train_cam": "train the classifier",
    "infer_cam": "multi-scale class activation maps",
    "mine_relations": "confident labels, from which relations are mined",
    "train_irnet": "train boundary and displacement heads",
    "infer_irnet": "boundary maps and displacement fields",
    "calibrate_displacement": "mean displacement over the training images",
    "refine_displacement": "centroids and class-agnostic instance maps",
    "propagate": "random walk of scores within boundaries",
    "mine_affinitynet": "scores of background and classes, from which AffinityNet learns",
    "train_affinitynet": "train AffinityNet",
    "propagate_affinitynet": "random walk of scores among AffinityNet's features",
    "select_thresholds": "scores of the background, chosen without ground truth",
    "export_masks": "pseudo instance and semantic masks",
    "train_maskrcnn": "train Mask R-CNN on the masks of a variant, or on ground truth",
    "infer_maskrcnn": "instances by the trained Mask R-CNN",
    "train_deeplab": "train DeepLabV3 on the masks of a variant, or on ground truth",
    "infer_deeplab": "semantic masks by the trained DeepLabV3",
    "draw_thumbnails": "small pictures of photos and masks, for the gallery of the report",
    "gather_masks": "COCO json and VOC PNGs of all masks",
    "evaluate_cam": "scores of raw class activation maps against ground truth",
    "evaluate_masks": "scores of masks against ground truth",
    "report": "one HTML page of figures and a gallery of all images",
}


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
        prog="irnet-pipe", description="Instance masks from image-level labels (IRNet)."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(quiet=False)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for stage, summary in STAGE_VERBS.items():
        _add_stage(verbs.add_parser(stage, help=summary, description=f"Stage {stage}: {summary}."), stage)
    for name, run, summary in (
        ("index_dataset", _index_dataset, "read lists, labels and photos; tell every problem"),
        ("validate", _validate, "check config, files, labels, weights, disk and memory"),
    ):
        verb = verbs.add_parser(name, help=summary)
        verb.add_argument(
            "--config", type=Path, nargs="+", required=True, help="YAML files; later ones override"
        )
        verb.set_defaults(run=run)
    verbs.choices["validate"].add_argument("--json", action="store_true", help="the same for programs")
    cli_project.add_verbs(verbs)
    cli_plan.add_verb(verbs)
    cli_results.add_verbs(verbs)
    cli_evaluate.add_verb(verbs)
    cli_export.add_verb(verbs)
    cli_deployment.add_verbs(verbs)
    _add_import(verbs.add_parser("import-weights", help="turn weights of the authors' code into ours"))
    _add_download(verbs.add_parser("download", help="fetch a data set"))
    _add_synthetic(verbs.add_parser("synthesize", help="make the demo's synthetic data set"))
    _add_completion(verbs.add_parser("completion", help="completion of verbs and options for a shell"))
    for name, verb in verbs.choices.items():
        if name != "run":  # whose words are Snakemake's
            verb.add_argument(
                "--quiet", action="store_true", help="show errors alone, no progress and no summary"
            )
    return parser


def _add_stage(verb: argparse.ArgumentParser, stage: str) -> None:
    verb.add_argument(
        "--recipe", type=Path, required=True, help="record of the artifact (results/recipes/*.json)"
    )
    verb.add_argument("--output", type=Path, required=True, help="artifact to write")
    verb.add_argument("--root", type=Path, default=Path(), help="folder that photo paths are relative to")
    verb.add_argument("--workers", type=int, default=0, help="processes that load photos")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    verb.add_argument(
        "--checkpoint-minutes", type=float, default=5, help="trainers save their state this often"
    )
    verb.add_argument("--scratch", help="folder of this machine to work in, such as '$TMPDIR'")
    if stage in TRAINERS:
        verb.add_argument(
            "--devices",
            type=int,
            default=1,
            help="processes that share each batch, with a device each, started as torchrun would",
        )
    verb.set_defaults(run=_stage, stage=stage)


def _stage(options: argparse.Namespace) -> int:
    if options.ranks.size > 1:
        end_with_parent()
        if options.stage not in TRAINERS:
            raise InputError(f"{options.stage}: runs in one process; start it without torchrun")
    elif options.stage in TRAINERS and options.devices > 1:
        from irnet_pipe.runtime.launch import start_ranks

        return start_ranks(options.devices, options.words)
    _run_stage(options, options.ranks)
    return 0


def _run_stage(options: argparse.Namespace, ranks: Ranks) -> None:
    from irnet_pipe.recipes import read_record
    from irnet_pipe.runtime.attempts import attempt
    from irnet_pipe.runtime.events import Events
    from irnet_pipe.runtime.job import Job
    from irnet_pipe.runtime.scratch import in_scratch

    record = read_record(options.recipe)
    if record.stage != options.stage:
        raise InputError(
            f"{options.recipe}: a recipe of {record.stage}, not of {options.stage}; run `irnet-pipe {record.stage}`"
        )
    # Spinning threads starve the other jobs of a full machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    results = options.recipe.parent.parent
    wanted = options.device if record.stage in DEVICE_STAGES else "cpu"
    with (
        attempt(record, results) if ranks.leads else nullcontext(Events()) as events,
        ranks.leased(wanted, label=record.label, events=events) as device,
    ):
        job = Job(
            record=record,
            output=options.output,
            results=results,
            root=options.root,
            workers=options.workers,
            device=device,
            checkpoint_minutes=options.checkpoint_minutes,
            events=events,
            ranks=ranks,
        )
        with in_scratch(job, options.scratch) as local:
            import_module(f"irnet_pipe.stages.{record.stage}").run(local)


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


def _add_completion(verb: argparse.ArgumentParser) -> None:
    from irnet_pipe.completion import SHELLS

    verb.description = "Prints a script; docs/cli.md says where it goes."
    verb.add_argument("shell", choices=SHELLS, help="that the script is for")
    verb.set_defaults(run=_completion)


def _completion(options: argparse.Namespace) -> None:
    from irnet_pipe.completion import script

    print_lines([script(build_parser(), options.shell)])


if __name__ == "__main__":
    sys.exit(main())
