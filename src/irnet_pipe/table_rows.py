"""The rows of the tables, as in Ahn, Cho & Kwak 2019: an entry each. Light: read at the parse.

To add a row, add its entry. Its masks must be a variant that the plan knows how to make; a segmenter's table has a row
for whatever its `train.source` may be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from irnet_pipe.evaluation.tables import RAW_CAM

PAPER = "Ahn et al. 2019"
"""Name of the published column."""
TRUTH = "truth"
"""What a row of full supervision learns from."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: as printed.
        short: the same, where rows of several tables stand together.
        figures: its columns, as the scores name them.
        main: the one that is plotted.
        segmenter: the network whose predictions are scored; none: the pseudo masks themselves are.
    """

    title: str
    short: str
    figures: tuple[str, ...]
    main: str
    segmenter: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: in the config.
        table: key of its table.
        label: as printed.
        masks: variant of the masks that are scored, or that the segmenter learns from; or `truth`.
        published: figure → what the paper reports on PASCAL VOC 2012, percent.
    """

    name: str
    table: str
    label: str
    masks: str
    published: dict[str, float] = field(default_factory=dict, hash=False)

    @property
    def variant(self) -> str:
        """Name of its scores."""
        segmenter = TABLES[self.table].segmenter
        return f"{segmenter}_{self.masks}" if segmenter else self.masks

    @property
    def upper_bound(self) -> bool:
        """Whether it learns from ground truth: no result of image-level labels."""
        return self.masks == TRUTH


TABLES: dict[str, Table] = {
    "instance": Table("Pseudo instance masks", "instance masks", ("AP25", "AP50", "AP70", "AP75"), "AP50"),
    "semantic": Table("Pseudo semantic masks", "semantic masks", ("mIoU",), "mIoU"),
    "maskrcnn": Table(
        "Mask R-CNN trained on pseudo masks", "Mask R-CNN", ("AP50", "AP70"), "AP50", segmenter="maskrcnn"
    ),
    "deeplab": Table("DeepLab trained on pseudo masks", "DeepLab", ("mIoU",), "mIoU", segmenter="deeplab"),
}

THRESHOLDS = (0.25, 0.5, 0.7, 0.75)
"""IoU of the tables' average precision."""

FULL_SUPERVISION = "ground truth (upper bound)"

# What we could not look up in the paper itself stays empty.
ROWS: tuple[Row, ...] = (
    Row("instance_cam", "instance", "CAM", "cam"),
    Row("instance_boundary", "instance", "+ class boundary", "boundary"),
    Row("instance_full", "instance", "+ displacement field", "full", {"AP50": 37.7}),
    Row("semantic_cam", "semantic", "CAM", RAW_CAM),
    Row("semantic_affinitynet", "semantic", "AffinityNet", "affinitynet"),
    Row("semantic_full", "semantic", "IRNet", "full", {"mIoU": 66.5}),
    Row("maskrcnn_cam", "maskrcnn", "CAM", "cam"),
    Row("maskrcnn_boundary", "maskrcnn", "+ class boundary", "boundary"),
    Row("maskrcnn_full", "maskrcnn", "+ displacement field", "full", {"AP50": 46.7, "AP70": 23.5}),
    Row("maskrcnn_truth", "maskrcnn", FULL_SUPERVISION, TRUTH, {"AP50": 67.9, "AP70": 52.5}),
    Row("deeplab_cam", "deeplab", "CAM", "cam"),
    Row("deeplab_affinitynet", "deeplab", "AffinityNet", "affinitynet"),
    Row("deeplab_full", "deeplab", "IRNet", "full", {"mIoU": 63.5}),
    Row("deeplab_truth", "deeplab", FULL_SUPERVISION, TRUTH),
)


def row_names() -> list[str]:
    """Names of all rows."""
    return [row.name for row in ROWS]


def rows_named(names: Iterable[str] | None) -> list[Row]:
    """Rows in the order of the tables; all of them for None."""
    chosen = set(row_names() if names is None else names)
    return [row for row in ROWS if row.name in chosen]
