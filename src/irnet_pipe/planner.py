"""Which artifacts a config needs: `make_plan` is pure, from typed config and data index to a `Plan`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from irnet_pipe.config import AUTO, Config, config_value, setting_name
from irnet_pipe.data.image_list import ImageEntry, canonical_json, digest_text, list_digest
from irnet_pipe.index import Index
from irnet_pipe.plan import Artifact, Plan
from irnet_pipe.shards import Unit, cut_units
from irnet_pipe.stage_table import STAGES, TRAINED, readers

Masks = dict[str, list[Artifact]]
"""Name of masks → their artifacts."""

CHOOSABLE = ("boundary", "full")
"""Variants whose thresholds may be left to select_thresholds; docs/thresholds.md tells why not those of `cam`."""

NOT_IN_REPORT = (
    *("propagate", "mine_affinitynet", "propagate_affinitynet", "gather_masks"),
    "draw_thumbnails",  # of all shards, see `thumbnails`
)
"""Stages whose artifacts the report does not open: it shows the masks made of them."""


def make_plan(config: Config, index: Index) -> Plan:
    """The graph of artifacts for one setting and its data index."""
    return _Planner(config, index).plan()


def image_lists(config: Config, index: Index) -> dict[str, tuple[ImageEntry, ...]]:
    """Every image list that a plan refers to, by its digest; to be written before it is used."""
    train, labelled = cut_units(index.train, index.label, config.shards.n)
    return {unit.digest: unit.entries for unit in (*train, *labelled)}


class _Planner:
    """Builds the artifacts of one setting."""

    def __init__(self, config: Config, index: Index) -> None:
        self.config = config
        self.index = index
        self.train, self.labelled = cut_units(index.train, index.label, config.shards.n)
        self.artifacts: dict[str, Artifact] = {}
        self.setting = setting_name(config)
        self.for_training: set[str] = set()
        self.learnt_from: dict[str, str] = {}
        self.readers = {key: readers(key) for key in config.sweep if key != "seed"}
        self.swept: dict[str, frozenset[str]] = {}

    def add(
        self,
        stage: str,
        unit: str,
        parents: Iterable[Artifact] = (),
        *,
        images: Iterable[Unit] = (),
        files: Iterable[str] = (),
        **facts: Any,
    ) -> Artifact:
        """An artifact whose spec holds the config paths of its stage and further facts about the data."""
        settings = {path: config_value(self.config, path) for path in STAGES[stage].reads}
        digests = {path: self.index.files[path].digest for path in files}
        # The digest stands for the file; where it lies changes nothing.
        settings = {path: value for path, value in settings.items() if path not in digests}
        variant = f" {facts['variant']}" if "variant" in facts else ""
        parents = tuple(parents)
        swept = self.swept_keys(stage, parents)
        values = (f" {key}={config_value(self.config, key)}" for key in self.config.sweep if key in swept)
        artifact = self.put(
            Artifact(
                stage=stage,
                unit=unit,
                spec=canonical_json({"config": settings, "files": digests} | facts),
                parents=parents,
                label=f"{stage} {unit}{variant} seed {self.config.seed}{''.join(values)}",
                images=tuple(unit.digest for unit in images),
                files=tuple((path, self.index.files[path].path) for path in files),
            )
        )
        self.swept[artifact.recipe] = swept
        return artifact

    def swept_keys(self, stage: str, parents: Iterable[Artifact]) -> frozenset[str]:
        """Swept keys, the seed apart, that tell an artifact of a stage from those of other settings."""
        own = {key for key, stages in self.readers.items() if stage in stages or not stages}
        return frozenset(own).union(*(self.swept.get(parent.recipe, ()) for parent in parents))

    def sharded(self, stage: str, unit: Unit, parents: Iterable[Artifact], **facts: Any) -> Artifact:
        """An artifact of the images of one shard."""
        return self.add(stage, unit.name, parents, images=[unit], list=unit.digest, **facts)

    def put(self, artifact: Artifact) -> Artifact:
        return self.artifacts.setdefault(artifact.recipe, artifact)

    def plan(self) -> Plan:
        self.cams = self.classifier()
        masks: Masks = {
            variant: self.masks(variant, self.labelled) for variant in self.config.export.variants
        }
        trainings = {name: self.segmenter(name) for name in self.config.segmenters}
        predicted = {
            training.record.spec["variant"]: self.predictions(name, training)
            for name, training in trainings.items()
        }
        # the last one is published under plain names
        gathered = [self.gathered(variant, parents) for variant, parents in (predicted | masks).items()]
        scores, thumbnails = self.evaluation(masks | predicted), self.thumbnails(masks)
        report = self.report(masks, predicted, thumbnails)
        results = [*gathered, *scores, report, *(thumbnails if self.beside else ())]
        folder = f"{self.config.run}/{self.setting}" if self.setting else self.config.run
        self.add("publish", "all", [*results, *trainings.values()], run=folder)
        return Plan(tuple(self.artifacts.values()))

    def gathered(self, variant: str, parents: Iterable[Artifact]) -> Artifact:
        facts = self.described(variant) | {"classes": self.index.classes}
        return self.add("gather_masks", "all", parents, images=self.labelled, **facts)

    def classifier(self) -> dict[str, Artifact]:
        """infer_cam of every unit."""
        self.train_cam = self.trainer("train_cam", ())
        training = {unit.name: unit for unit in self.train}
        units = training | {unit.name: unit for unit in self.labelled if unit.name not in training}
        return {name: self.sharded("infer_cam", unit, [self.train_cam]) for name, unit in units.items()}

    def trainer(self, stage: str, parents: Iterable[Artifact], **facts: Any) -> Artifact:
        """A trainer, or the weights file that takes its place."""
        trained = TRAINED.get(stage)
        if trained is not None and trained in self.index.files:
            digest = self.index.files[trained].digest
            files = ((trained, self.index.files[trained].path),)
            spec = {"config": {}, "files": {trained: digest}, "classes": self.index.classes}
            label = f"{stage} all from {self.index.files[trained].path}"
            return self.put(Artifact(stage, "all", canonical_json(spec), (), label, files=files))
        weights = f"{stage.removeprefix('train_')}.weights"
        return self.add(
            stage,
            "all",
            parents,
            images=self.train,
            files=[weights] if weights in self.index.files else [],
            classes=self.index.classes,
            # Labels train the classifier directly; they reach IRNet through the relations.
            **self.trained_on,
            **facts,
        )

    @cached_property
    def trained_on(self) -> dict[str, str]:
        """The list of the training images, as a fact."""
        return {"list": list_digest(entry for unit in self.train for entry in unit.entries)}

    @cached_property
    def irnet_maps(self) -> dict[str, Artifact]:
        """infer_irnet of every unit."""
        config, units = self.config, {unit.name: unit for unit in (*self.labelled, *self.train)}
        parents: list[Artifact] = []
        if "irnet.trained" not in self.index.files:
            parents = [self.train_cam] if config.irnet.weights == "cam" else []
            cams = self.artifacts_of("infer_cam")
            chosen = self.relation_thresholds(cams)
            parents += [
                self.sharded("mine_relations", unit, [cams[unit.name], *chosen]) for unit in self.train
            ]
        irnet = self.trainer("train_irnet", parents)
        return {name: self.sharded("infer_irnet", units[name], [irnet]) for name in sorted(units)}

    def relation_thresholds(self, cams: dict[str, Artifact]) -> list[Artifact]:
        """select_relation_thresholds, where one is left to it."""
        relations = self.config.relations
        if AUTO not in (relations.fg_threshold, relations.bg_threshold):
            return []
        parents = [cams[unit.name] for unit in self.train]
        return [self.add("select_relation_thresholds", "all", parents, images=self.train, **self.trained_on)]

    @cached_property
    def mean_displacement(self) -> Artifact:
        maps = self.irnet_maps
        return self.add("calibrate_displacement", "all", [maps[unit.name] for unit in self.train])

    def propagated(self, unit: Unit) -> Artifact:
        """Propagate of a unit."""
        maps, mean = self.irnet_maps[unit.name], self.mean_displacement
        instances = self.sharded("refine_displacement", unit, [maps, mean])
        return self.sharded("propagate", unit, [self.cams[unit.name], maps, instances])

    @cached_property
    def affinitynet(self) -> Artifact:
        """train_affinitynet, on the scores of all training images."""
        parents = [self.train_cam] if self.config.affinitynet.weights == "cam" else []
        parents += [self.sharded("mine_affinitynet", unit, [self.cams[unit.name]]) for unit in self.train]
        return self.trainer("train_affinitynet", parents)

    def scores(self, variant: str, unit: Unit) -> Artifact:
        """What the masks of a variant are made of."""
        if variant == "cam":
            return self.cams[unit.name]
        if variant == "affinitynet":
            return self.sharded("propagate_affinitynet", unit, [self.cams[unit.name], self.affinitynet])
        return self.propagated(unit)

    def masks(self, variant: str, units: Iterable[Unit]) -> list[Artifact]:
        """export_masks of units."""
        sources = [(unit, self.scores(variant, unit)) for unit in units]
        chosen = self.thresholds(variant)
        return [
            self.sharded(
                "export_masks", unit, [scores, *chosen], variant=variant, **self.marked(variant, unit)
            )
            for unit, scores in sources
        ]

    def thresholds(self, variant: str) -> list[Artifact]:
        """select_thresholds, where a variant leaves one to it: on training images, which alone decide."""
        export = self.config.export
        left = AUTO in (export.instance.bg_threshold, export.semantic.bg_threshold)
        if variant not in CHOOSABLE or not left:
            return []
        scores = [self.propagated(unit) for unit in self.train]
        maps = [self.irnet_maps[unit.name] for unit in self.train]
        return [self.add("select_thresholds", "all", [*scores, *maps], images=self.train, **self.trained_on)]

    def marked(self, variant: str, unit: Unit) -> dict[str, Any]:
        """Masks that the review has marked wrong; people see those of the variant that is named last."""
        if not self.index.wrong or variant != self.config.export.variants[-1]:
            return {}
        image_ids = [entry.image_id for entry in unit.entries if entry.image_id in self.index.wrong]
        return {"wrong": {i: self.index.wrong[i] for i in image_ids}} if image_ids else {}

    def segmenter(self, name: str) -> Artifact:
        """The training of a segmenter, on masks of all training images, labelled or not."""
        source, known = config_value(self.config, f"{name}.train.source"), set(self.artifacts)
        parents = [] if source == "truth" else self.masks(source, self.train)
        self.for_training |= self.artifacts.keys() - known
        if config_value(self.config, f"{name}.weights") == "cam":
            parents = [self.train_cam, *parents]
        facts: dict[str, Any] = {"variant": f"{name}_{source}"}
        if source == "truth" and self.index.train_truth is not None:
            facts["truth"] = self.index.train_truth.digest
        self.learnt_from[facts["variant"]] = source
        return self.trainer(f"train_{name}", parents, **facts)

    def predictions(self, name: str, training: Artifact) -> list[Artifact]:
        """Inference by a segmenter on every unit to be labelled."""
        facts = {"variant": training.record.spec["variant"], "classes": self.index.classes}
        return [self.sharded(f"infer_{name}", unit, [training], **facts) for unit in self.labelled]

    def evaluation(self, masks: Masks) -> list[Artifact]:
        """Scores of the raw CAMs and of each set of masks, where there is ground truth."""
        truth = self.index.truth
        if truth is None:
            return []
        facts: dict[str, Any] = {"truth": truth.digest, "classes": self.index.classes}
        cams = [self.cams[unit.name] for unit in self.labelled]
        scores = [self.add("evaluate_cam", "all", cams, images=self.labelled, **facts)]
        for variant, parents in masks.items():
            of = facts | self.described(variant)
            scores.append(self.add("evaluate_masks", "all", parents, images=self.labelled, **of))
        return scores

    def described(self, variant: str) -> dict[str, Any]:
        """Name of masks, and what the network that made them learnt from."""
        learnt = {"learnt_from": self.learnt_from[variant]} if variant in self.learnt_from else {}
        return {"variant": variant} | learnt

    @cached_property
    def layered(self) -> set[str]:
        """Images of which the report shows every layer."""
        return report_images(self.index, self.config.report.images)

    @property
    def beside(self) -> bool:
        """Whether small pictures lie beside the report rather than in it."""
        shown = self.layered if self.config.report.gallery == "layered" else self.index.label
        return len(shown) > self.config.report.one_file

    def thumbnails(self, masks: Masks) -> list[Artifact]:
        """draw_thumbnails of every unit with images to show, with the masks that get the plain names."""
        *_, published = masks.values()
        drawn = []
        for unit, exported in zip(self.labelled, published, strict=True):
            facts: dict[str, Any] = {}
            if self.config.report.gallery == "layered":
                facts["only"] = sorted(self.layered & {entry.image_id for entry in unit.entries})
            if facts.get("only") != []:
                drawn.append(self.sharded("draw_thumbnails", unit, [exported], **facts))
        return drawn

    def report(self, masks: Masks, predicted: Masks, thumbnails: list[Artifact]) -> Artifact:
        chosen = self.layered
        units = {unit.name for unit in self.labelled if chosen & {entry.image_id for entry in unit.entries}}
        shown = [
            artifact
            for artifact in self.artifacts.values()
            if artifact.unit == "all" or artifact.unit in units
            if artifact.stage not in NOT_IN_REPORT and artifact.recipe not in self.for_training
        ]
        facts: dict[str, Any] = {
            "classes": self.index.classes,
            "variants": list(masks),
            "shown": sorted(chosen),
            "beside": self.beside,
        }
        if predicted:
            facts["learnt_from"] = self.learnt_from
        if self.index.truth is not None:
            facts["truth"] = self.index.truth.digest
        parents = [*shown, *thumbnails]
        listed = [unit for unit in self.labelled if unit.name in units]
        return self.add("report", "all", parents, images=listed, **facts)

    def artifacts_of(self, stage: str) -> dict[str, Artifact]:
        return {artifact.unit: artifact for artifact in self.artifacts.values() if artifact.stage == stage}


def report_images(index: Index, n: int) -> set[str]:
    """Images shown in the report: evaluated ones with labels first, in an order that no appended image upsets."""
    evaluated = index.truth.image_ids if index.truth else frozenset()
    shown = [entry for entry in index.label if entry.labels != ()]
    shown.sort(key=lambda entry: (entry.image_id not in evaluated, digest_text(entry.image_id)))
    return {entry.image_id for entry in shown[:n]}
