"""What can be checked before anything is trained: config, files, labels, weights, steps, disk and memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from irnet_pipe import resources, training_memory
from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.config import (
    Config,
    SegmenterModel,
    SegmenterTraining,
    Training,
    setting_name,
    settings_of,
)
from irnet_pipe.config.trainings import CamTrain, classifier_rate
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.review import read_review
from irnet_pipe.errors import InputError, told_of
from irnet_pipe.index import Index, build_index
from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.backbone import pretrained_state
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.models.trained import load_cam_net, load_irnet
from irnet_pipe.near_names import nearest
from irnet_pipe.planner import make_plan
from irnet_pipe.review_marks import marks_without_mask
from irnet_pipe.runtime.device import autocast, use_device
from irnet_pipe.tables.settings import TableSetting, check_unseen, table_settings

T = TypeVar("T")
HIGH_RATE = 4
"""Times the learning rate that fits, from which it is told of."""
RARE, COMMON, LIKENESS = 2, 10, 0.8
"""A class of so few training images that is spelt so much like one of so many times as many may be a misspelt one."""


def validate(config: Config) -> list[str]:
    """Check a config and all that it names.

    Weights that torchvision offers are downloaded, so that no run finds out later that it cannot.

    Returns:
        Lines that sum up what a run would do.

    Raises:
        InputError: every problem found.
    """
    settings = settings_of(config)
    lines: list[str] = []
    for setting in settings:
        name = setting_name(setting)
        try:
            summary = _Validation(setting).run()
        except InputError as error:
            raise InputError([f"{name}: {text}" if name else text for text in error.problems]) from None
        lines += [f"setting {name}"] * bool(name) + [line for line in summary if line not in lines]
    return [*lines, *_validate_tables(config, set(lines))] if config.tables.seeds else lines


def _validate_tables(config: Config, told: set[str]) -> Iterator[str]:
    """The checks of the settings that tables are made of, those of one seed: seeds differ in nothing that fails."""
    seeds = config.tables.seeds
    for setting in table_settings(config):
        if setting.config.seed == seeds[0]:
            names = ", ".join(row.name for row in setting.rows)
            yield f"tables: {names} ({len(seeds)} seed{'s' * (len(seeds) > 1)})"
            summary = _Validation(setting.config, table=setting).run()
            yield from (line for line in summary if line not in told)
            told.update(summary)


class _Validation:
    """The checks of one config, which may be a setting of the tables."""

    def __init__(self, config: Config, *, table: TableSetting | None = None) -> None:
        self.config = config
        self.table = table
        self.problems = Problems()
        self.segmenters: dict[str, SegmenterModel] = {
            name: getattr(config, name) for name in config.segmenters
        }
        self.has_irnet = bool(config.mask_sources & {"boundary", "full"})
        self.has_affinitynet = "affinitynet" in config.mask_sources

    def run(self) -> list[str]:
        config = self.config
        index = self.attempt(self.index)
        device = self.attempt(lambda: use_device(config.runtime.device))
        lines = []
        self.check_weights(index)
        if index is not None:
            lines += [*_summary(index), *self.check_review(index)]
            lines += [*self.check_steps(index), self.check_disk(index)]
        if device is not None:
            self.check_precision(device)
            if index is not None and not self.problems.messages:
                lines.append(self.check_memory(index, device))
        self.problems.check()
        return lines

    def index(self) -> Index:
        uses = self.table.uses if self.table else None
        index = build_index(self.config, results=Path(self.config.runtime.results), uses=uses)
        if self.table:
            check_unseen(self.table, index)
        return index

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Result of an action, or None and its problems noted."""
        with self.noted():
            return action()
        return None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the problems that are found within, and go on."""
        try:
            yield
        except InputError as error:
            for message in error.problems:
                # each a kind of its own: the index has cut its list already
                self.problems.add(message, message)

    def check_precision(self, device: torch.device) -> None:
        cam, irnet = self.config.cam, self.config.irnet
        precisions = {"cam.train": cam.train.precision, "cam.infer": cam.infer.precision}
        if self.has_irnet:
            precisions |= {"irnet.train": irnet.train.precision, "irnet.infer": irnet.infer.precision}
        if self.has_affinitynet:
            affinitynet = self.config.affinitynet
            precisions |= {
                "affinitynet.train": affinitynet.train.precision,
                "affinitynet.infer": affinitynet.infer.precision,
            }
        for name, model in self.segmenters.items():
            precisions |= {
                f"{name}.train": model.training.precision,
                f"{name}.infer": model.inference.precision,
            }
        for key, precision in precisions.items():
            try:
                autocast(device, precision)
            except InputError as error:
                self.problems.add("precisions", f"{key}.{error}")

    def check_weights(self, index: Index | None) -> None:
        cam, irnet = self.config.cam, self.config.irnet
        networks: dict[str, Any] = {"cam": cam, **self.segmenters}
        if self.has_affinitynet:
            networks["affinitynet"] = self.config.affinitynet
        if self.has_irnet:
            networks["irnet"] = irnet
        keys: dict[tuple[str, str], list[str]] = {}
        for section, network in networks.items():
            if getattr(network, "trained", None) is None and network.weights != "cam":
                keys.setdefault((network.backbone, network.weights or "none"), []).append(
                    f"{section}.weights"
                )
        for (backbone, weights), named in keys.items():
            with self.noted(), told_of(" and ".join(named)):
                pretrained_state(backbone, weights)
        if cam.trained is not None and Path(cam.trained).is_file():
            self.attempt(lambda: self.check_classes(Path(str(cam.trained)), index))
        if self.has_irnet and irnet.trained is not None and Path(irnet.trained).is_file():
            self.attempt(lambda: load_irnet(Path(str(irnet.trained))))

    def check_classes(self, trained: Path, index: Index | None) -> None:
        load_cam_net(trained)
        known = read_weights(trained, kind="cam").header.get("classes")
        if index is not None and known not in (list(index.classes), len(index.classes)):
            self.problems.add(
                "classes of weights",
                f"cam.trained: {trained}: classifies {known}, but the data has the {len(index.classes)} "
                f"classes {list(index.classes)}; set dataset.classes to those of the file, or train anew",
            )

    def check_steps(self, index: Index) -> Iterator[str]:
        config = self.config
        labelled = sum(1 for entry in index.train if entry.labels)
        if config.cam.trained is None:
            yield self.steps("cam.train", config.cam.train, len(index.train), "training images")
            yield from _padding("cam.train", config.cam.train.crop, config.cam.train.long_side[1])
            yield from _rates(config.cam.train, index)
        if self.has_irnet and config.irnet.trained is None:
            yield self.steps("irnet.train", config.irnet.train, labelled, "training images with labels")
            longest = self.longest(index) * config.irnet.train.scale[1]
            yield from _padding("irnet.train", config.irnet.train.crop, longest)
        if self.has_affinitynet:
            train = config.affinitynet.train
            yield self.steps("affinitynet.train", train, labelled, "training images with labels")
            yield from _padding("affinitynet.train", train.crop, self.longest(index))
            if self.has_irnet and config.affinitynet.backbone != config.irnet.backbone:
                yield (
                    f"note: affinitynet.backbone is {config.affinitynet.backbone}, irnet.backbone "
                    f"{config.irnet.backbone}: no comparison at equal networks"
                )
        for name, model in self.segmenters.items():
            training = model.training
            what = f"training images with labels, learnt from {training.source}"
            yield self.steps(f"{name}.train", training, labelled, what)

    def longest(self, index: Index) -> int:
        """Long side of the largest training photo as it is processed."""
        largest = max((max(entry.height, entry.width) for entry in index.train), default=0)
        return min(largest, self.config.dataset.working_long_side or largest)

    def steps(self, key: str, settings: Training | SegmenterTraining, images: int, what: str) -> str:
        """Describe a training; a batch larger than the training set is a problem."""
        if images < settings.batch:
            self.problems.add(
                "batches",
                f"{key}.batch is {settings.batch}, but there are only {images} {what}; set it to {images} or "
                "less, or add images",
            )
        devices = self.config.runtime.devices_per_training
        if settings.batch % devices:
            self.problems.add(
                "shares of batches",
                f"{key}.batch is {settings.batch}, which runtime.devices_per_training {devices} does not divide; "
                "change one of them (another batch gives other results)",
            )
        if isinstance(settings, SegmenterTraining):
            return f"{key}: {settings.iterations} steps ({images} {what}, batch {settings.batch})"
        steps = images // settings.batch * settings.epochs
        return f"{key}: {steps} steps ({images} {what}, batch {settings.batch}, {settings.epochs} epochs)"

    def check_review(self, index: Index) -> Iterator[str]:
        """Sum up a review; a mark of a mask that is not there is a problem."""
        if self.config.review is None:
            return
        found = read_review(Path(self.config.review)).images.values()
        yield (
            f"review: {sum(image.unusable for image in found)} images unusable, "
            f"{sum(bool(image.labels) for image in found)} with corrected labels, "
            f"{sum(len(image.wrong) for image in found)} masks marked wrong"
        )
        plan = make_plan(self.config, index)
        for image_id, name, path in marks_without_mask(plan, Path(self.config.runtime.results)):
            self.problems.add(
                "marked masks that are not there",
                f"{self.config.review}: image {image_id!r}: mask {name!r} is none of those in {path}, which were made "
                "anew since; mark it in the new report, or delete the entry (a run leaves it alone)",
            )

    def check_disk(self, index: Index) -> str:
        results = Path(self.config.runtime.results)
        need, free = resources.disk_bytes(self.config, index), resources.disk_free(results)
        if need > free:
            self.problems.add(
                "disks",
                f"{results}: a run needs about {_gib(need)}, {_gib(free)} are free; free some, set "
                "runtime.results to another disk, or label fewer images",
            )
        return f"disk: about {_gib(need)} needed below {results}, {_gib(free)} free"

    def check_memory(self, index: Index, device: torch.device) -> str:
        total = training_memory.memory_total(device)
        # devices have a memory each, processes on a CPU share one
        shares = self.config.runtime.devices_per_training if device.type == "cuda" else 1
        needs = dict(self.memory_needs(index, shares))
        for key, need in needs.items():
            if need > total:
                remedy = (
                    "lower its batch or crop" if key.endswith("train") else "set dataset.working_long_side"
                )
                self.problems.add(
                    "memory",
                    f"{key} needs about {_gib(need)} of memory, {device} has {_gib(total)}; "
                    f"{remedy}, or take a smaller backbone or another device",
                )
        key, need = max(needs.items(), key=lambda item: item[1])
        return f"memory: about {_gib(need)} needed (by {key}), {device} has {_gib(total)}"

    def memory_needs(self, index: Index, shares: int) -> Iterator[tuple[str, int]]:
        cam, irnet = self.config.cam, self.config.irnet
        entries = [*index.train, *index.label]
        yield "inference on the largest photo", resources.inference_bytes(self.config, entries)
        if cam.trained is None:
            train = cam.train
            classifier = CamNet(
                cam.backbone, len(index.classes), freeze=train.freeze, batch_norm=train.batch_norm
            ).train()
            yield (
                "cam.train",
                training_memory.training_bytes(
                    classifier, batch=train.batch // shares, crop=train.crop, precision=train.precision
                ),
            )
        if self.has_irnet and irnet.trained is None:
            batch, crop = irnet.train.batch // shares, irnet.train.crop
            heads = training_memory.training_bytes(
                IRNet(irnet.backbone).train(), batch=batch, crop=crop, precision=irnet.train.precision
            )
            yield (
                "irnet.train",
                heads + training_memory.relation_bytes(batch=batch, crop=crop, radius=irnet.radius),
            )
        if self.has_affinitynet:
            yield "affinitynet.train", self.affinitynet_bytes(shares)
        if "maskrcnn" in self.segmenters:
            yield "maskrcnn.train", self.maskrcnn_bytes(len(index.classes), shares)
        if "deeplab" in self.segmenters:
            yield "deeplab.train", self.deeplab_bytes(len(index.classes), shares)

    def affinitynet_bytes(self, shares: int) -> int:
        settings, train = self.config.affinitynet, self.config.affinitynet.train
        batch, crop = train.batch // shares, train.crop
        model = AffinityNet(settings.backbone, freeze=train.freeze, batch_norm=train.batch_norm).train()
        network = training_memory.training_bytes(model, batch=batch, crop=crop, precision=train.precision)
        return network + training_memory.relation_bytes(
            batch=batch, crop=crop, radius=settings.radius, stride=8
        )

    def deeplab_bytes(self, n_classes: int, shares: int) -> int:
        settings, train = self.config.deeplab, self.config.deeplab.train
        model = DeepLab(settings.backbone, n_classes, freeze=train.freeze, batch_norm=train.batch_norm)
        # a single photo, by which memory is measured, has no statistics of its own
        return training_memory.training_bytes(
            model.eval(), batch=train.batch // shares, crop=train.crop, precision=train.precision
        )

    def maskrcnn_bytes(self, n_classes: int, shares: int) -> int:
        settings, train = self.config.maskrcnn, self.config.maskrcnn.train
        batch, side = train.batch // shares, math.isqrt(train.short_side[1] * train.max_side)
        model = MaskRcnn(settings.backbone, n_classes, freeze=train.freeze, batch_norm=train.batch_norm)
        network: Any = model.train().network
        body = training_memory.training_bytes(
            network.backbone, batch=batch, crop=side, precision=train.precision
        )
        heads: int = 4 * sum(p.nbytes for part in (network.rpn, network.roi_heads) for p in part.parameters())
        return body + heads + training_memory.region_bytes(batch=batch, regions=train.regions)


def _summary(index: Index) -> Iterator[str]:
    negatives = sum(1 for entry in index.train if not entry.labels)
    yield f"training images: {len(index.train)}, {negatives} of them without any class"
    predicted = sum(1 for entry in index.label if entry.labels is None)
    note = f", classes of {predicted} predicted by the classifier" if predicted else ""
    yield f"images to be labelled: {len(index.label)}{note}"
    yield f"images to be evaluated: {len(index.truth.image_ids) if index.truth else 'none'}"
    counts = Counter(class_id for entry in index.train for class_id in entry.labels or ())
    names = ", ".join(f"{name} {counts[class_id]}" for class_id, name in enumerate(index.classes))
    yield f"classes: {len(index.classes)}, training images of each: {names}"
    yield from _misspelt({name: counts[class_id] for class_id, name in enumerate(index.classes)})


def _rates(train: CamTrain, index: Index) -> Iterator[str]:
    """Rates far above those that fit a data set of few classes end in a loss that is not finite."""
    classes = len({class_id for entry in index.train for class_id in entry.labels or ()})
    fitting = classifier_rate(batch=train.batch, classes=classes)
    if train.optimizer == "sgd" and train.lr_classifier > HIGH_RATE * fitting:
        yield (
            f"note: cam.train.lr {train.lr:g} and lr_classifier {train.lr_classifier:g} may be too high for batch "
            f"{train.batch} and {classes} classes, and the loss run off; {0.1 * fitting:g} and {fitting:g} are the "
            "paper's in proportion"
        )


def _misspelt(counts: dict[str, int]) -> Iterator[str]:
    """Classes of few images whose name is nearly that of a common one."""
    for name, count in counts.items():
        common = [other for other in counts if counts[other] >= COMMON * count] if 0 < count <= RARE else []
        near = nearest(name, common, likeness=LIKENESS)
        if near:
            yield (
                f"note: class {name!r} of {count} training images is spelt nearly as {near!r} of "
                f"{counts[near]}; correct the labels if the two are one"
            )


def _padding(key: str, crop: int, longest: float) -> Iterator[str]:
    if crop >= 2 * longest:
        share = 1 - (longest / crop) ** 2
        yield (
            f"note: {key}.crop {crop} is twice the longest side drawn ({longest:.0f}) or more: {share:.0%} of a crop "
            "is padding; a smaller crop trains faster"
        )


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / resources.GIB:.1f} GiB"
