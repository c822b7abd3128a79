"""The trained segmenters of a published run: weights, classes, and the settings that the run infers with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from irnet_pipe.config import Config, config_value, parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.errors import InputError
from irnet_pipe.recipes import MARKERS
from irnet_pipe.stage_table import SEGMENTERS, STAGES

if TYPE_CHECKING:
    from irnet_pipe.models.deeplab import DeepLab
    from irnet_pipe.models.mask_rcnn import MaskRcnn

MAX_PIXELS = "dataset.max_pixels"
FACTS = ("kind", "backbone", "classes", "learnt_from", "recipe", "inference")
"""What the json beside the weights must tell."""


@dataclass(frozen=True)
class TrainedSegmenter:
    """A published segmenter.

    Attributes:
        kind: one of `SEGMENTERS`.
        weights: its plain state dict.
        backbone: name of its backbone.
        classes: names, in the order of class_id.
        learnt_from: variant, or truth.
        recipe: of the training.
        settings: config path → value of what it infers with.
        max_pixels: of a photo.
    """

    kind: str
    weights: Path
    backbone: str
    classes: list[str]
    learnt_from: str
    recipe: str
    settings: dict[str, Any]
    max_pixels: int

    def load_mask_rcnn(self) -> MaskRcnn:
        """The network of the kind maskrcnn, in evaluation mode.

        Raises:
            InputError: the weights are damaged, or of another network.
        """
        from irnet_pipe.models.mask_rcnn import MaskRcnn
        from irnet_pipe.models.trained_segmenters import load_published

        return load_published(self.weights, MaskRcnn, backbone=self.backbone, n_classes=len(self.classes))

    def load_deeplab(self) -> DeepLab:
        """The network of the kind deeplab, in evaluation mode.

        Raises:
            InputError: the weights are damaged, or of another network.
        """
        from irnet_pipe.models.deeplab import DeepLab
        from irnet_pipe.models.trained_segmenters import load_published

        return load_published(self.weights, DeepLab, backbone=self.backbone, n_classes=len(self.classes))

    def described(self) -> str:
        """What made its masks, for people."""
        source = (
            "ground truth (upper bound)" if self.learnt_from == "truth" else f"masks of {self.learnt_from}"
        )
        return f"masks predicted by {self.kind} that learnt from {source}, recipe {self.recipe}"


def find_segmenters(
    model: Path, *, only: str | None = None, overrides: Sequence[str] = ()
) -> list[TrainedSegmenter]:
    """The segmenters that a path means.

    Args:
        model: folder of a published run, or one of its weights files.
        only: the one that is wanted of several.
        overrides: KEY=VALUE of settings other than those of the run.

    Raises:
        InputError: there is none, its json is missing or wrong, or a setting is.
    """
    values = dict(map(_override, overrides))
    paths = _weights_of_run(model, only) if model.is_dir() else [model]
    found = [_open(path, values) for path in paths]
    if only is not None and found[0].kind != only:
        raise InputError(
            f"{model}: weights of {found[0].kind}, not of {only}; give other weights, or leave out --segmenter"
        )
    known = {MAX_PIXELS, *(key for name in found for key in STAGES[f"infer_{name.kind}"].reads)}
    for key in values:
        if not any(key == path or key.startswith(f"{path}.") for path in known):
            raise InputError(
                f"--set {key}: nothing that {' and '.join(name.kind for name in found)} would read; keys are those "
                f"of {', '.join(sorted(known))} in config/README.md"
            )
    return found


def _weights_of_run(folder: Path, only: str | None) -> list[Path]:
    if not any(folder.glob(MARKERS)):
        inner = sorted({path.parent.name for path in folder.glob(f"*/{MARKERS}")})
        remedy = (
            f"give one of its runs, such as {folder / inner[0]}"
            if inner
            else "run snakemake, which publishes it"
        )
        raise InputError(f"{folder}: no published run (no {MARKERS}); {remedy}")
    there = [folder / f"{kind}.pth" for kind in SEGMENTERS if (folder / f"{kind}.pth").is_file()]
    wanted = [path for path in there if only in (None, path.stem)]
    if not there:
        raise InputError(
            f"{folder}: a run without segmenters; add segmenters: [maskrcnn] to its config and run snakemake"
        )
    if not wanted:
        raise InputError(
            f"{folder}: the run has {there[0].stem} alone; leave out --segmenter, or add {only} to segmenters and "
            "run snakemake"
        )
    return wanted


def _open(path: Path, overrides: Mapping[str, Any]) -> TrainedSegmenter:
    facts = _facts(path)
    stated = facts["inference"]
    config = _config(f"{path.with_suffix('.json')}: inference", stated)
    if overrides:
        kept = {key: config_value(config, key) for key in stated}
        config = _config("--set", kept, overrides)
    _, *classes = facts["classes"]
    return TrainedSegmenter(
        kind=facts["kind"],
        weights=path,
        backbone=facts["backbone"],
        classes=classes,
        learnt_from=facts["learnt_from"],
        recipe=facts["recipe"],
        settings={key: config_value(config, key) for key in STAGES[f"infer_{facts['kind']}"].reads},
        max_pixels=config.dataset.max_pixels,
    )


def _facts(path: Path) -> dict[str, Any]:
    """The json beside weights."""
    place = path.with_suffix(".json")
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a published run, outputs/<run>, or its weights")
    try:
        facts = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{place}: no such file, which names the classes of {path.name}; give weights that a run has published"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{place}: cannot be read ({error}); run snakemake, which publishes it anew"
        ) from None
    missing = [key for key in FACTS if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise InputError(f"{place}: lacks {missing[0]!r}; run snakemake, which publishes it anew")
    if facts["kind"] not in SEGMENTERS:
        raise InputError(
            f"{place}: kind {facts['kind']!r} is none of {', '.join(SEGMENTERS)}; update irnet_pipe"
        )
    return dict(facts)


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    try:
        if equals:
            return key, yaml.safe_load(value)
    except yaml.YAMLError:
        pass
    raise InputError(f"--set {text!r}: no KEY=VALUE; give one such as maskrcnn.infer.short_side=800")


def _config(source: str, *settings: Mapping[str, Any]) -> Config:
    """Defaults with settings (config path → value) in their places, later ones first."""
    values: dict[str, Any] = {}
    for path, value in ((path, value) for layer in settings for path, value in layer.items()):
        nested: Any = value
        for key in reversed(path.split(".")):
            nested = {key: nested}
        values = merge(values, nested)
    return parse_config(values, source=source)
