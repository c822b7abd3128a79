"""The data index: what the user's files hold, made before the DAG; or one error that tells every problem.

Light: lists and labels are read, photos are stat-ed; only photos that are new or changed are opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from irnet_pipe.config import Config
from irnet_pipe.data.image_list import ImageEntry, canonical_json, digest_text, sort_entries, write_once
from irnet_pipe.data.image_sets import read_image_set
from irnet_pipe.data.labels import Labels, locate, read_labels
from irnet_pipe.data.labels.classes import check_known, check_names, check_trained, order_classes
from irnet_pipe.data.photo_files import (
    LEAST_SIDE,
    PhotoFacts,
    PhotoFolder,
    examine_all,
    find_photos,
    working_size,
)
from irnet_pipe.data.problems import Problems
from irnet_pipe.data.review import Review, no_review, read_review
from irnet_pipe.data.scan import StatCache
from irnet_pipe.data.truth_list import (
    EVALUATED,
    TRUTH_NAME,
    VOC_FOLDERS,
    TruthUse,
    TruthUses,
    learnt_from,
    list_coco_truth,
    list_voc_truth,
)
from irnet_pipe.errors import InputError
from irnet_pipe.near_names import same_but_for_case
from irnet_pipe.outside_files import OutsideFile, file_digest, outside_files
from irnet_pipe.recipes import INDEX

CACHE_NAME = "digests.json"
MOST_CLASSES = 254


@dataclass(frozen=True)
class Truth:
    """Ground truth of the images to be evaluated.

    Attributes:
        digest: of results/index/<digest>/truth.json, which lists the files and their digests.
        image_ids: images that are evaluated.
    """

    digest: str
    image_ids: frozenset[str]


@dataclass(frozen=True)
class Index:
    """What the user's files hold.

    Attributes:
        classes: class names in the order of class_id.
        train: training images, sorted by image_id (negatives left out where the config drops them).
        label: images to be labelled, sorted by image_id.
        truth: ground truth, for evaluation alone.
        files: config path (cam.weights, cam.trained, irnet.weights, …) → file from outside.
        train_truth: ground truth of the training images that have labels, where a segmenter learns from it.
        wrong: image_id → names of the masks that a review has marked wrong.
    """

    classes: tuple[str, ...]
    train: tuple[ImageEntry, ...]
    label: tuple[ImageEntry, ...]
    truth: Truth | None
    files: dict[str, OutsideFile]
    train_truth: Truth | None = None
    wrong: dict[str, tuple[str, ...]] = field(default_factory=dict)


def stat_cache(results: Path) -> StatCache:
    """What was learnt about files by the runs of a results folder."""
    return StatCache(results / INDEX / CACHE_NAME)


def build_index(
    config: Config, *, results: Path, cache: StatCache | None = None, uses: TruthUses | None = None
) -> Index:
    """Index the data set that a config names.

    dataset.root and weights are relative to the current folder; list files are looked for below root, then
    below the current folder. What was learnt about files is kept in results/index/digests.json, and the list
    of ground truth in results/index/<digest>/truth.json.

    Args:
        config: of the run.
        results: folder of the artifacts.
        cache: what was learnt about files, where several configs share it; read from `results` by default.
        uses: what messages say of ground truth; by default the keys of the config that ask for it.

    Raises:
        InputError: every problem found.
    """
    root = _root(config)
    layout = locate(config.dataset, root)
    cache = cache or stat_cache(results)
    try:
        truth = root / (config.dataset.ground_truth or "")
        skip = [results, Path(config.runtime.outputs), *(truth / name for name in VOC_FOLDERS.values())]
        photos = find_photos(layout.photos, root=root, skip=[path.resolve() for path in skip])
        problems = Problems()
        labels = read_labels(
            layout, photos=photos, classes=config.dataset.classes, cache=cache, problems=problems
        )
        review = read_review(Path(config.review)) if config.review else no_review()
        review.check(photos, labels, classes=config.dataset.classes, problems=problems)
        labels = review.corrected(labels)
        return _Builder(config, root, results, photos, labels, review, cache, problems, uses).build()
    finally:
        cache.save()


def _root(config: Config) -> Path:
    if config.dataset.root is None:
        raise InputError("dataset.root is none; set it to the folder that holds the photos")
    root = Path(config.dataset.root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set dataset.root to the folder that holds the photos")
    return root


@dataclass(frozen=True)
class _Lists:
    """image_ids that train, that get masks, and that are scored."""

    train: list[str]
    label: list[str]
    evaluate: list[str] | None


@dataclass(frozen=True)
class _Builder:
    """Puts photos, labels and lists together."""

    config: Config
    root: Path
    results: Path
    photos: PhotoFolder
    labels: Labels
    review: Review
    cache: StatCache
    problems: Problems
    uses: TruthUses | None

    def build(self) -> Index:
        lists = self.lists()
        facts = self.facts([*lists.train, *lists.label])
        names = self.names(lists)
        classes = self.classes(lists, names)
        ids = {name: class_id for class_id, name in enumerate(classes)}
        entries = {
            image_id: self.entry(image_id, fact, names[image_id], ids) for image_id, fact in facts.items()
        }
        train = sort_entries(entries[image_id] for image_id in lists.train if image_id in entries)
        label = sort_entries(entries[image_id] for image_id in lists.label if image_id in entries)
        uses = self.uses_of_truth(lists, train)
        known = classes if self.labels.readable else None
        truths = [self.truth(image_ids, facts, use, classes=known) for image_ids, use in uses]
        files = outside_files(self.config, cache=self.cache, problems=self.problems)
        self.problems.check()
        truth, train_truth = (self.write(truth) if truth else None for truth in truths)
        return Index(classes, tuple(train), tuple(label), truth, files, train_truth, wrong=self.review.wrong)

    def lists(self) -> _Lists:
        dataset = self.config.dataset
        train = self.listed(dataset.train)
        if dataset.negatives == "drop":
            train = [image_id for image_id in train if not self.is_negative(image_id)]
        label = train if dataset.label is None else self.listed(dataset.label)
        if dataset.evaluate is None or dataset.evaluate == "all":
            return _Lists(train, label, None if dataset.evaluate is None else label)
        evaluate, labelled = self.listed(dataset.evaluate), set(label)
        for image_id in evaluate:
            if image_id not in labelled:
                self.problems.add(
                    "evaluated images that get no masks",
                    f"{dataset.evaluate}: {image_id!r} is evaluated, but not labelled; add it to "
                    "dataset.label or delete the line",
                )
        return _Lists(train, label, [image_id for image_id in evaluate if image_id in labelled])

    def listed(self, value: str) -> list[str]:
        """Images of a list file, or all; without those that the review calls unusable."""
        unusable = self.review.unusable
        return [image_id for image_id in self.all_listed(value) if image_id not in unusable]

    def all_listed(self, value: str) -> list[str]:
        """Images of a list file, or all."""
        if value == "all":
            if not self.photos.files:
                self.problems.add("empty lists", f"{self.photos.folder}: holds no photo; set dataset.photos")
            return list(self.photos.files)
        below_root = self.root / value
        path = below_root if below_root.exists() else Path(value)
        return read_image_set(path, photos=self.photos, problems=self.problems)

    def is_negative(self, image_id: str) -> bool:
        """Whether no class is in an image; one without label row counts only if the config says so."""
        return (
            self.labels.names.get(image_id, None if self.config.dataset.missing != "negative" else ()) == ()
        )

    def facts(self, image_ids: list[str]) -> dict[str, PhotoFacts]:
        """Digest and size of each photo that can be used."""
        folder = self.photos.folder.resolve()
        files = {}
        for image_id in image_ids:
            name = self.photos.files[image_id]
            files[image_id] = (f"{folder}/{name}", self.photos.stats[name])
        for image_id in files.keys() & self.photos.clashes.keys():
            self.problems.add(
                "photos that differ in suffix alone",
                f"{folder}: {' and '.join(self.photos.clashes[image_id])} are all image {image_id!r}; "
                "rename or move all but one",
            )
        for names in same_but_for_case(files):
            self.problems.add(
                "photos that differ in case alone",
                f"{folder}: {' and '.join(self.photos.files[name] for name in names)} differ in case alone, "
                "which other systems do not tell apart; rename all but one",
            )
        max_pixels = self.config.dataset.max_pixels
        facts = examine_all(
            files, cache=self.cache, max_pixels=max_pixels, problems=self.problems, title="photos"
        )
        for image_id, fact in facts.items():
            self.check_sides(files[image_id][0], fact)
        return facts

    def check_sides(self, path: str, facts: PhotoFacts) -> None:
        """A photo has to be as large as a cell of the maps, as it is and as it is processed."""
        bound = self.config.dataset.working_long_side
        height, width = working_size(facts.height, facts.width, long_side=bound)
        if min(height, width) < LEAST_SIDE:
            scaled = (height, width) != (facts.height, facts.width)
            told = f", processed as {width}×{height} (dataset.working_long_side {bound})" if scaled else ""
            self.problems.add(
                "photos that are too small",
                f"{path}: {facts.width}×{facts.height} pixels{told}, both sides must be {LEAST_SIDE} or more; "
                "replace the photo or take it out of the lists",
            )

    def names(self, lists: _Lists) -> dict[str, tuple[str, ...] | None]:
        """Class names of each image; None where the classifier shall predict them."""
        missing, training = self.config.dataset.missing, set(lists.train)
        names: dict[str, tuple[str, ...] | None] = {}
        for image_id in dict.fromkeys([*lists.train, *lists.label]):
            names[image_id] = row = self.labels.names.get(image_id)
            if row is not None or (missing == "predict" and image_id not in training):
                continue
            names[image_id] = ()
            if missing != "negative":
                hint = where = ""
                if missing == "predict":
                    hint, where = ", and predict is for images outside of training alone", "training "
                self.problems.add(
                    "images without labels",
                    f"{self.labels.source}: image {image_id!r} has no labels{hint}; add them, take it out of "
                    f"the {where}list, or set dataset.missing: negative if no class is in it",
                )
        return names

    def classes(self, lists: _Lists, names: dict[str, tuple[str, ...] | None]) -> tuple[str, ...]:
        """Class names in the order of class_id, checked."""
        given, source = self.config.dataset.classes, str(self.labels.source)
        used: dict[str, list[str]] = {}
        for image_id, row in names.items():
            for name in row or ():
                used.setdefault(name, []).append(image_id)
        classes = order_classes(used, given=given, source_order=self.labels.classes)
        check_names(classes, source="dataset.classes" if given else source, problems=self.problems)
        check_known(used, classes, source=source, problems=self.problems)
        if self.config.cam.trained is None and self.labels.readable:
            known = {name: used[name] for name in used if name in set(classes)}
            check_trained(known, set(lists.train), source=source, problems=self.problems)
        return classes

    def entry(
        self, image_id: str, facts: PhotoFacts, names: tuple[str, ...] | None, ids: dict[str, int]
    ) -> ImageEntry:
        labels = None if names is None else tuple(sorted(ids[name] for name in names if name in ids))
        if labels is not None and len(labels) > MOST_CLASSES:
            self.problems.add(
                "images of too many classes",
                f"{self.labels.source}: image {image_id!r} has {len(labels)} classes, {MOST_CLASSES} at most "
                "can be in one image; delete labels",
            )
        path = self.photos.prefix + self.photos.files[image_id]
        return ImageEntry(image_id, path, facts.height, facts.width, labels, facts.digest)

    def uses_of_truth(
        self, lists: _Lists, train: list[ImageEntry]
    ) -> list[tuple[list[str] | None, TruthUse]]:
        """Images that are evaluated, and those that a segmenter learns on from ground truth."""
        keys = [key for key in self.config.segmenters if getattr(self.config, key).training.source == "truth"]
        learnt = [entry.image_id for entry in train if entry.labels] if keys else None
        uses = self.uses or TruthUses(EVALUATED, learnt_from(f"{keys[0]}.train.source" if keys else ""))
        return [(lists.evaluate, uses.evaluated), (learnt, uses.learnt)]

    def truth(
        self,
        image_ids: list[str] | None,
        facts: dict[str, PhotoFacts],
        use: TruthUse,
        *,
        classes: Sequence[str] | None,
    ) -> dict[str, Any] | None:
        if image_ids is None:
            return None
        source = self.root / (self.config.dataset.ground_truth or "")
        if not source.exists():
            self.problems.add(
                "folders of ground truth",
                f"{source}: no such file or folder; set dataset.ground_truth to where it lies, or {use.without}",
            )
            return None
        found = {image_id: facts[image_id] for image_id in image_ids if image_id in facts}
        sizes = {image_id: (fact.height, fact.width) for image_id, fact in found.items()}
        root, cache, problems = self.root, self.cache, self.problems
        if source.is_file():
            return list_coco_truth(
                sizes,
                source,
                root=root,
                photos=self.photos,
                classes=classes,
                digest=partial(file_digest, cache=cache),
                cache=cache,
                problems=problems,
                use=use,
            )
        max_pixels = self.config.dataset.max_pixels
        return list_voc_truth(
            sizes,
            source,
            root=root,
            classes=classes,
            cache=cache,
            max_pixels=max_pixels,
            problems=problems,
            use=use,
        )

    def write(self, truth: dict[str, Any]) -> Truth:
        digest = digest_text(canonical_json(truth))
        write_once(self.results / INDEX / digest / TRUTH_NAME, truth)
        return Truth(digest, frozenset(truth["images"]))
