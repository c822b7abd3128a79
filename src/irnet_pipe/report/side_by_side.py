"""The settings of a sweep side by side: scores, their course over the swept key, and pictures of the same images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarFile
from typing import Any

from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.evaluation.tables import join_scores, mean_table
from irnet_pipe.recipes import MARKERS, PUBLISHED_SETTINGS, Record
from irnet_pipe.report.charts import Chart, Series
from irnet_pipe.report.gallery import damaged_pictures, unit_rows
from irnet_pipe.report.gallery_data import CLASSES, INSTANCES, PHOTO, picture_file
from irnet_pipe.report.html import Page, Section, render
from irnet_pipe.report.pictures import data_uri
from irnet_pipe.report.strips import Shot, Strip, Strips
from irnet_pipe.report.table import Table, table_csv
from irnet_pipe.text_files import replace_text

TABLE = "settings.csv"
PICTURES = (PHOTO, INSTANCES, CLASSES)
LEAST_OF_A_COURSE = 3
"""Settings of which the scores are drawn as a line."""
OF_PICTURES = (
    "The images on which the settings differ most, by the share of the photo that masks cover, come first. Small "
    "pictures; each setting's own report shows the layers of an image."
)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        values: swept key → value.
        pictures: tars of draw_thumbnails.
        scores: artifacts of evaluate_masks; none without ground truth.
    """

    values: Mapping[str, Any]
    pictures: Sequence[Path]
    scores: Sequence[Path]

    @property
    def name(self) -> str:
        """Its values, for people: the ends of the keys where these tell them apart."""
        ends = [key.rpartition(".")[2] for key in self.values]
        shown = ends if len(set(ends)) == len(ends) else [*self.values]
        return ", ".join(f"{key} = {value}" for key, value in zip(shown, self.values.values(), strict=True))


@dataclass(frozen=True)
class _Seen:
    """An image under a setting: the share of the photo that its masks cover, their number, and the pictures' data."""

    covered: float
    masks: int
    files: Mapping[str, str]


def write_settings(publication: Record, results: Path, folder: Path) -> None:
    """Write settings.html and, where there are scores, settings.csv.

    A marker that vouches for what lay there before is removed first.

    Args:
        publication: the record of the comparison.
        results: folder of the artifacts.
        folder: made if it does not exist.

    Raises:
        ArtifactError: pictures or scores are missing or damaged.
    """
    settings = read_settings(publication, results)
    table = _score_table(settings)
    page = Page(
        title=f"Settings of {Path(publication.spec['run']).parent}",
        subtitle=f"{len(settings)} settings of {', '.join(settings[0].values)}",
        sections=list(_sections(settings, table, shown=publication.spec["shown"])),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for marker in folder.glob(MARKERS):
        marker.unlink()
    (folder / TABLE).unlink(missing_ok=True)
    if table is not None:
        replace_text(folder / TABLE, table_csv(table))
    replace_text(folder / PUBLISHED_SETTINGS, render(page))


def read_settings(publication: Record, results: Path) -> list[Setting]:
    """The settings of a record, with the files that they have."""
    parents = {parent.recipe: parent for parent in publication.parents}
    settings = []
    for setting in publication.spec["settings"]:
        made_of = [parents[recipe] for recipe in setting["made_of"]]
        pictures = [results / parent.path for parent in made_of if parent.stage == "draw_thumbnails"]
        scores = [results / parent.path for parent in made_of if parent.stage == "evaluate_masks"]
        settings.append(Setting(setting["values"], pictures, scores))
    return settings


def _sections(settings: Sequence[Setting], table: Table | None, *, shown: Sequence[str]) -> Iterator[Section]:
    if table is not None:
        yield Section("Scores", [table, *_courses(settings, table)])
    if strips := _strips(settings, shown):
        yield Section("Pictures", [Strips(strips)], lead=OF_PICTURES)


def _score_table(settings: Sequence[Setting]) -> Table | None:
    """A row a setting and variant."""
    columns: list[str] = []
    rows: list[list[str | float | None]] = []
    for setting in settings:
        if setting.scores:
            parts = join_scores([read_json(path, kind="scores") for path in setting.scores])
            columns, found = mean_table(parts)
            rows += [[*map(str, setting.values.values()), *row] for row in found]
    note = "Percent; mean over the classes."
    return Table([*settings[0].values, *columns], rows, note=note) if rows else None


def _courses(settings: Sequence[Setting], table: Table) -> Iterator[Chart]:
    """A chart a figure, with a line a variant, where one number is swept that is more than a name."""
    (key, *others), swept = settings[0].values, [value for each in settings for value in each.values.values()]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in swept)
    if others or key == "seed" or not numbers or len(settings) < LEAST_OF_A_COURSE:
        return
    variants = dict.fromkeys(str(row[1]) for row in table.rows)
    for column, figure in enumerate(table.columns[2:], 2):
        lines = [
            Series(variant, *_points([row for row in table.rows if row[1] == variant], column))
            for variant in variants
        ]
        yield Chart(figure, lines, x_label=key, y_label="percent")


def _points(rows: Sequence[Sequence[Any]], column: int) -> tuple[list[float], list[float]]:
    """Swept value and figure of each row that has one, by value."""
    points = sorted((float(row[0]), row[column]) for row in rows if row[column] is not None)
    return [x for x, _ in points], [y for _, y in points]


def _strips(settings: Sequence[Setting], shown: Sequence[str]) -> list[Strip]:
    """A strip an image, those on which the settings differ most first."""
    seen = [_seen(setting.pictures, frozenset(shown)) for setting in settings]
    images = {image_id: [of.get(image_id) for of in seen] for image_id in shown}
    there = {image_id: [each for each in row if each] for image_id, row in images.items()}
    order = sorted((image_id for image_id in shown if there[image_id]), key=lambda i: (-_spread(there[i]), i))
    return [
        Strip(
            image_id,
            there[image_id][0].files[PHOTO],
            [
                Shot(setting.name, each.masks, each.files[INSTANCES], each.files[CLASSES]) if each else None
                for setting, each in zip(settings, images[image_id], strict=True)
            ],
        )
        for image_id in order
    ]


def _spread(seen: Sequence[_Seen]) -> float:
    covered = [each.covered for each in seen]
    return max(covered) - min(covered)


def _seen(pictures: Sequence[Path], shown: frozenset[str]) -> dict[str, _Seen]:
    """Some of the images of a setting, by image_id."""
    found = {}
    for path in pictures:
        rows = [(number, row) for number, row in enumerate(unit_rows(path)) if row["id"] in shown]
        with open_tar(path) as tar:
            for number, row in rows:
                try:
                    files = {name: _address(tar, picture_file(number, name)) for name in PICTURES}
                except KeyError as error:
                    raise damaged_pictures(path, error) from None
                covered = sum(mask["area"] for mask in row["masks"])
                found[row["id"]] = _Seen(covered, len(row["masks"]), files)
    return found


def _address(tar: TarFile, name: str) -> str:
    """A member of a tar as an address that holds it."""
    content = tar.extractfile(name)
    return data_uri(content.read() if content else b"", name.rpartition(".")[2])
