"""draw_thumbnails: photos and masks of a shard, small, with a row of facts each, for the report's gallery.

Members of the tar: <row>-photo.jpeg, <row>-instances.png, <row>-classes.png, and at the end rows.js
(report/gallery_data.py). `only` in the spec names the images where not all of the shard are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from irnet_pipe.artifacts.io import ArtifactReader, atomic_path
from irnet_pipe.artifacts.masks import read_instances, read_semantic
from irnet_pipe.data.photos import load_photo
from irnet_pipe.export.voc import write_tar
from irnet_pipe.recipes import ancestors, read_record, record_path
from irnet_pipe.report import pictures
from irnet_pipe.report.gallery_data import ROWS, picture_file, unit_call
from irnet_pipe.report.thumbnails import draw_thumbnails, image_row
from irnet_pipe.runtime.job import Job


def run(job: Job) -> None:
    """Write the tar."""
    with (
        ArtifactReader(job.parent("export_masks"), kind="masks") as masks,
        atomic_path(job.output) as temporary,
        temporary.open("wb") as stream,
    ):
        write_tar(stream, _members(job, masks))


def _members(job: Job, masks: ArtifactReader) -> Iterator[tuple[str, bytes]]:
    only = job.record.spec.get("only")
    wrong = _marked_wrong(job)
    entries = [entry for entry in job.images if only is None or entry.image_id in only]
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(job.progress(entries, total=len(entries))):
        found, semantic = read_instances(masks, entry.image_id), read_semantic(masks, entry.image_id)
        shown = found.without_fragments()
        photo = load_photo(job.photo(entry), long_side=job.setting("report.thumbnail"))
        for picture in draw_thumbnails(photo, entry, instances=shown, semantic=semantic):
            yield picture_file(number, picture.name), pictures.encode(picture)
        left_out = found.named(wrong.get(entry.image_id, ()))
        rows.append(image_row(entry, shown, present=semantic[0].tolist(), left_out=left_out))
    yield ROWS, unit_call(job.record.unit, rows, _recipes(job)).encode()


def _marked_wrong(job: Job) -> dict[str, list[str]]:
    """Names of masks by image: what the review says, by which the masks were made."""
    (parent,) = job.record.parents
    wrong: dict[str, list[str]] = read_record(record_path(job.results, parent.recipe)).spec.get("wrong", {})
    return wrong


def _recipes(job: Job) -> list[tuple[str, str]]:
    """Stage and path of what the images of the shard went through, in the order of the pipeline."""
    above = ancestors(job.record, job.results)
    return [(record.stage, record.path) for record in above if record.unit in (job.record.unit, "all")]
