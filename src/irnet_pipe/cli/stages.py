"""A verb for each stage, which runs one artifact's job."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

from irnet_pipe.errors import InputError
from irnet_pipe.runtime.ranks import Ranks, end_with_parent
from irnet_pipe.stage_table import DEVICE_STAGES, TRAINERS

STAGE_VERBS = {
    "train_cam": "train the classifier",
    "infer_cam": "multi-scale class activation maps",
    "select_relation_thresholds": "thresholds of the confident labels, chosen without ground truth",
    "mine_relations": "confident labels, from which relations are mined",
    "train_irnet": "train boundary and displacement heads",
    "infer_irnet": "boundary maps and displacement fields",
    "calibrate_displacement": "mean displacement over the training images",
    "refine_displacement": "centroids and class-agnostic instance maps",
    "propagate": "random walk of scores within boundaries",
    "mine_affinitynet": "scores of background and classes, from which AffinityNet learns",
    "train_affinitynet": "train AffinityNet",
    "propagate_affinitynet": "random walk of scores among AffinityNet's features",
    "select_thresholds": "score of the background of masks, chosen without ground truth",
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


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs to a parser."""
    for stage, summary in STAGE_VERBS.items():
        _add_stage(verbs.add_parser(stage, help=summary, description=f"Stage {stage}: {summary}."), stage)


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
