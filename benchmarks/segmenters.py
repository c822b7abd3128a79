"""Rows of the segmenters: steps of their trainings, loading included, beside loops in plain torchvision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.comparators import plain_segmenters as plain
from benchmarks.feeding import EPOCHS, WORKERS
from benchmarks.kernels import relative_error
from benchmarks.paired import Disagreement, Row, Setting
from benchmarks.runs import CLASSES, SmallRun, tame
from benchmarks.stages import RATE, TRAINER_THREADS
from irnet_pipe.data.datasets import Samples, load_batches
from irnet_pipe.data.mask_samples import InstanceSamples, SemanticSamples
from irnet_pipe.data.transforms import NEUTRAL
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.models.segmenter import Segmenter
from irnet_pipe.runtime.device import autocast
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.seeding import reproducible
from irnet_pipe.training.mask_sources import mask_source
from irnet_pipe.training.optimizer import make_optimizer
from irnet_pipe.training.schedule import Schedule

CPU = torch.device("cpu")
BACKBONE = "resnet50"
"""That of torchvision's own builders."""

N_LABELS = 1 + len(CLASSES)
SGD = {"momentum": 0.9, "weight_decay": 1e-4}
BIASES = (
    "roi_heads.box_predictor.cls_score.bias",
    "roi_heads.mask_predictor.mask_fcn_logits.bias",
    "classifier.4.bias",
)
"""Of last layers, one value a class: two of Mask R-CNN, one of DeepLab."""

TOLERANCE = 2e-2
"""Of losses and gradients of a step in fp32, on photos that each side resizes itself; bf16 would add some percent."""

Step = tuple[dict[str, float], list[Tensor]]
"""Losses of a step by name, and the gradients (21,) of the last layers' biases, one value a class."""


@dataclass(frozen=True)
class Training:
    """One side.

    Attributes:
        batches: photos and targets, without end.
        losses: (photos, targets) → scalars by name, whose sum is minimised.
        optimizer: of the network.
        network: that of torchvision.
    """

    batches: Iterator[Any]
    losses: Callable[..., Mapping[str, Tensor]]
    optimizer: torch.optim.Optimizer
    network: nn.Module

    def run(self, steps: int) -> list[Step]:
        """Take steps."""
        results = []
        for photos, targets in islice(self.batches, steps):
            results.append(self.gradients(photos, targets))
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return results

    def gradients(self, photos: Any, targets: Any, **options: Any) -> Step:
        """Losses, and gradients by them."""
        losses = self.losses(photos, targets, **options)
        sum(losses.values()).backward()
        biases = [value for name, value in self.network.named_parameters() if name in BIASES]
        scalars = {name: float(loss.detach()) for name, loss in losses.items()}
        return scalars, [bias.grad.clone() for bias in biases]


@dataclass(frozen=True)
class SegmenterCase:
    """Both sides, which start from the same weights."""

    run: SmallRun
    steps: int
    ours: Training
    theirs: Training

    def step_in_fp32(self) -> tuple[Step, Step]:
        """What each side makes of its next photos from the weights of ours, without dropout; nothing is learnt."""
        self.theirs.network.load_state_dict(self.ours.network.state_dict())
        steps = []
        for side, options in ((self.ours, {"precision": "fp32"}), (self.theirs, {})):
            torch.manual_seed(0)  # regions are drawn
            with _without_dropout(side.network):
                steps.append(side.gradients(*next(side.batches), **options))
            side.optimizer.zero_grad(set_to_none=True)
        return steps[0], steps[1]


@contextmanager
def _without_dropout(network: nn.Module) -> Iterator[None]:
    """Which values it drops depends on how they lie in memory, and the two sides' lie differently."""
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    for module in dropouts:
        module.eval()
    yield
    for module in dropouts:
        module.train()


@dataclass(frozen=True)
class Small:
    """A run, the job of a training that sees all of its images in some steps, and its masks as PNGs."""

    run: SmallRun
    job: Job
    masks: Path
    steps: int


def _small(setting: Setting, segmenter: str, batch: int, steps: int) -> Small:
    size = setting.choose(64, 192, 450)
    # theirs takes photos as they are
    facts = {"segmenters": [segmenter], "dataset": {"working_long_side": None}}
    run = SmallRun(setting, count=batch * steps, size=size, backbone="resnet18", **facts)
    masks = run.put_masks()
    return Small(run, run.job(f"train_{segmenter}"), masks, steps)


def train_ours(case: SegmenterCase) -> list[Step]:
    with reproducible(CPU, threads=torch.get_num_threads()):
        return case.ours.run(case.steps)


def train_theirs(case: SegmenterCase) -> list[Step]:
    return case.theirs.run(case.steps)


def train_theirs_bf16(case: SegmenterCase) -> list[Step]:
    with torch.autocast("cpu", torch.bfloat16):
        return train_theirs(case)


def _network(build: Callable[..., Segmenter], settings: Mapping[str, Any], **options: Any) -> Segmenter:
    torch.manual_seed(0)
    model = build(
        BACKBONE, len(CLASSES), freeze=settings["freeze"], batch_norm=settings["batch_norm"], **options
    )
    tame(model)
    return model


def _our_training(
    model: Segmenter, samples: Samples, losses: Callable[..., Any], *, keys: Iterator[Any], workers: int
) -> Training:
    model = model.to(memory_format=torch.channels_last).train()
    groups = model.parameter_groups()
    optimizer = make_optimizer(groups, dict.fromkeys(groups, RATE), settings={"optimizer": "sgd", **SGD})
    batches = load_batches(samples, keys, workers=workers, device=CPU)
    return Training(batches, partial(losses, model), optimizer, model.network)


def _their_training(
    model: nn.Module, data: plain.Files, losses: Callable[..., Any], *, keys: Iterator[Any], workers: int
) -> Training:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    batches = plain.load(data, keys, workers=workers)
    return Training(batches, partial(losses, model), torch.optim.SGD(trained, RATE, **SGD), model)


def _case(
    setting: Setting,
    small: Small,
    *,
    ours: tuple[Segmenter, Samples, Callable[..., Any]],
    theirs: tuple[nn.Module, plain.Files, Callable[..., Any]],
) -> list[SegmenterCase]:
    """The case of networks, samples and losses."""
    theirs[0].load_state_dict(ours[0].network.state_dict())
    workers, images = setting.choose(1, WORKERS, WORKERS), small.job.images
    schedule = Schedule(len(images), len(images) // small.steps, EPOCHS)
    keys = partial(schedule.batches, 0, seed=0, stage=small.job.record.stage)
    return [
        SegmenterCase(
            small.run,
            small.steps,
            _our_training(*ours, keys=keys(), workers=workers),
            _their_training(*theirs, keys=keys(), workers=workers),
        )
    ]


# train_maskrcnn


def maskrcnn_cases(setting: Setting) -> list[SegmenterCase]:
    batch, steps, short = setting.choose((2, 1, 64), (2, 2, 192), (4, 2, 512))
    small = _small(setting, "maskrcnn", batch, steps)
    job, settings = small.job, small.job.setting("maskrcnn.train")
    long = short * settings["max_side"] // settings["short_side"][1]
    samples = InstanceSamples(
        job.images,
        job.root,
        source=mask_source(job),
        stage=job.record.stage,
        short_side=(short, short),
        max_side=long,
        seed=0,
    )
    network = _network(MaskRcnn, settings, regions=settings["regions"])
    twin = plain.mask_rcnn(N_LABELS, short_side=short, max_side=long)
    data = plain.InstancePhotos(job.images, job.root, small.masks)
    ours, theirs = (network, samples, maskrcnn_losses), (twin, data, plain.mask_rcnn_losses)
    return _case(setting, small, ours=ours, theirs=theirs)


def maskrcnn_losses(
    model: nn.Module, photos: Any, targets: Any, *, precision: str = "bf16"
) -> dict[str, Tensor]:
    with autocast(CPU, precision):
        losses: dict[str, Tensor] = model(photos, targets)
    return {name: loss for name, loss in losses.items() if name != "total"}


# train_deeplab


def deeplab_cases(setting: Setting) -> list[SegmenterCase]:
    batch, steps, crop = setting.choose((2, 1, 64), (2, 2, 129), (4, 2, 321))
    small = _small(setting, "deeplab", batch, steps)
    job, settings = small.job, small.job.setting("deeplab.train")
    view = {"crop": crop, "scale": tuple(settings["scale"])}
    samples = SemanticSamples(
        job.images,
        job.root,
        source=mask_source(job),
        stage=job.record.stage,
        working_long_side=job.setting("dataset.working_long_side"),
        seed=0,
        **view,
    )
    data = plain.SemanticPhotos(job.images, job.root, small.masks, **view)
    ours = _network(DeepLab, settings), samples, deeplab_losses
    theirs = plain.deeplab(N_LABELS), data, plain.deeplab_losses
    return _case(setting, small, ours=ours, theirs=theirs)


def deeplab_losses(
    model: nn.Module, photos: Tensor, labels: Tensor, *, precision: str = "bf16"
) -> dict[str, Tensor]:
    with autocast(CPU, precision):
        logits = model(photos)
    return {"cross_entropy": F.cross_entropy(logits.float(), labels.long(), ignore_index=NEUTRAL)}


def agreement(cases: Sequence[Any], ours: Sequence[list[Step]], theirs: Sequence[list[Step]]) -> str:
    """Of a step in fp32, as rounding is no difference; the losses of the first step as it is trained beside it."""
    (case,) = cases
    ((our_losses, _), *_), ((their_losses, _), *_) = ours[0], theirs[0]
    trained = f"{sum(our_losses.values()):.3f} against {sum(their_losses.values()):.3f}"
    return f"in fp32 {step_agreement(*case.step_in_fp32())}; as trained, loss {trained}"


def step_agreement(ours: Step, theirs: Step) -> str:
    """Of losses and gradients from equal weights.

    Raises:
        Disagreement: they differ by more than `TOLERANCE`, or other classes are learnt.
    """
    our_loss, their_loss = (sum(losses.values()) for losses, _ in (ours, theirs))
    error = relative_error(ours[1][0], theirs[1][0])
    text = f"loss {our_loss:.4f} against {their_loss:.4f}, gradients of class scores to {error:.0e} of the maximum"
    if not (abs(our_loss / their_loss - 1) <= TOLERANCE and error <= TOLERANCE):
        raise Disagreement(f"{text}; at most {TOLERANCE:.0e}")
    learnt = [[(gradient != 0).tolist() for gradient in gradients] for _, gradients in (ours, theirs)]
    if learnt[0] != learnt[1]:
        raise Disagreement(f"{text}; but masks of other classes are learnt")
    return text


def _rows(segmenter: str, title: str, cases: Callable[[Setting], Sequence[SegmenterCase]]) -> list[Row]:
    """A row for each precision of the other side."""
    loop = "a loop in plain torchvision"
    rest = {"agreement": agreement, "threads": TRAINER_THREADS}
    return [
        Row(
            f"train_{segmenter}",
            title,
            f"{loop}, bf16 autocast",
            cases,
            train_ours,
            train_theirs_bf16,
            **rest,
        ),
        Row(f"train_{segmenter}_fp32", "the same", f"{loop}, fp32", cases, train_ours, train_theirs, **rest),
    ]


ROWS = (
    *_rows(
        "maskrcnn",
        "2 steps with loading, ResNet-50, bf16, batch 4, short side 512 (quick: batch 2, short side 192)",
        maskrcnn_cases,
    ),
    *_rows(
        "deeplab",
        "2 steps with loading, ResNet-50, bf16, batch 4 of 321×321 (quick: 2 of 129×129)",
        deeplab_cases,
    ),
)
