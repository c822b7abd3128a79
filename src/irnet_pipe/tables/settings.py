"""The settings that the tables are made of: ordinary configs, which differ in seed, images and training source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from irnet_pipe.config import Config
from irnet_pipe.config.parse import problem
from irnet_pipe.config.presets import merge
from irnet_pipe.data.truth_list import TruthUse, TruthUses
from irnet_pipe.errors import InputError
from irnet_pipe.evaluation.tables import RAW_CAM
from irnet_pipe.index import Index
from irnet_pipe.table_rows import TABLES, THRESHOLDS, Row, rows_named

MOST_TOLD = 3
"""Images that a message names."""


@dataclass(frozen=True)
class TableSetting:
    """A setting that some rows come from.

    Attributes:
        config: the setting.
        rows: those whose scores its plan holds.
        uses: what its ground truth is for.
    """

    config: Config
    rows: tuple[Row, ...]
    uses: TruthUses


def table_settings(config: Config) -> list[TableSetting]:
    """Every setting of the tables that a config asks for.

    Raises:
        InputError: it asks for none, or its keys do not go together.
    """
    if not config.tables.seeds:
        raise InputError("tables.seeds names no seed; set it, for instance tables: {seeds: [0]}")
    if config.sweep:
        raise InputError("tables and sweep are in one config, but tables show one setting; take sweep out")
    rows = rows_named(config.tables.rows)
    return [setting for seed in config.tables.seeds for setting in _settings(config, seed, rows)]


def _settings(config: Config, seed: int, rows: Iterable[Row]) -> Iterator[TableSetting]:
    """Those of a seed: one for all pseudo masks, one for each training."""
    trained = [row for row in rows if TABLES[row.table].segmenter]
    pseudo = [row for row in rows if not TABLES[row.table].segmenter]
    shared = {"seed": seed, "evaluation": {"iou": THRESHOLDS}}
    if pseudo:
        variants = dict.fromkeys(row.masks for row in pseudo if row.masks != RAW_CAM)
        dataset = {"label": config.tables.pseudo_images, "evaluate": "all"}
        own = {"dataset": dataset, "export": {"variants": list(variants) or ["cam"]}, "segmenters": []}
        yield _setting(config, shared | own, pseudo, _uses(pseudo, "tables.pseudo_images"))
    if trained:
        dataset = {"label": _unseen_images(config, trained), "evaluate": "all"}
        uses = _uses(trained, "tables.segmenter_images")
        for row in trained:
            name = str(TABLES[row.table].segmenter)
            own = {"dataset": dataset, "segmenters": [name], name: {"train": {"source": row.masks}}}
            yield _setting(config, shared | own, [row], uses)


def _unseen_images(config: Config, rows: Iterable[Row]) -> str:
    """The list on which segmenters are scored."""
    images = config.tables.segmenter_images
    if images is None and config.dataset.evaluate == "all":
        images = config.dataset.label or config.dataset.train
    images = images or config.dataset.evaluate
    if images is None:
        raise InputError(
            f"tables.segmenter_images: {_names(rows)}: no images to score a segmenter on, neither here nor in "
            "dataset.evaluate; set it to a list of images that no training sees, or leave them out of tables.rows"
        )
    return images


def _setting(config: Config, values: dict[str, Any], rows: Iterable[Row], uses: TruthUses) -> TableSetting:
    rows = tuple(rows)
    try:
        changed = Config.model_validate(merge(config.model_dump(mode="json"), values))
    except ValidationError as error:
        raise InputError(problem(f"tables, {_names(rows)}", item) for item in error.errors()) from None
    return TableSetting(changed, rows, uses)


def _uses(rows: list[Row], key: str) -> TruthUses:
    """What messages say of ground truth that rows need."""
    learning = [row for row in rows if row.upper_bound]
    return TruthUses(
        evaluated=TruthUse(
            "images of the tables without ground truth",
            f"is scored in {_names(rows)} of the tables",
            f"take the image out of the list that {key} names",
            f"leave {_names(rows)} out of tables.rows",
        ),
        learnt=TruthUse(
            "training images without ground truth",
            f"is learnt from in {_names(learning)} of the tables",
            f"leave {_names(learning)} out of tables.rows",
            f"leave {_names(learning)} out of tables.rows",
        ),
    )


def _names(rows: Iterable[Row]) -> str:
    names = [row.name for row in rows]
    return f"row{'s' * (len(names) > 1)} {', '.join(names)}"


def check_unseen(setting: TableSetting, index: Index) -> None:
    """No segmenter may be scored on images that it, or the networks before it, was trained on.

    Raises:
        InputError: there are such images.
    """
    if not setting.config.segmenters:
        return
    training = {entry.image_id for entry in index.train}
    seen = [entry.image_id for entry in index.label if entry.image_id in training]
    if seen:
        more = ", …" if len(seen) > MOST_TOLD else ""
        raise InputError(
            f"tables.segmenter_images: {len(seen)} of {len(index.label)} images are training images, on which no "
            f"segmenter can be scored ({', '.join(map(repr, seen[:MOST_TOLD]))}{more}); set it to a list of other "
            f"images, take these out of dataset.train, or leave {_names(setting.rows)} out of tables.rows"
        )
