"""Whether the masks that a review marks wrong are there: for `validate`, which may open artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.masks import mask_name, read_instances
from irnet_pipe.data.image_list import canonical_json
from irnet_pipe.plan import Artifact, Plan


def marks_without_mask(plan: Plan, results: Path) -> Iterator[tuple[str, str, Path]]:
    """Marks of masks that are none of those made, as far as these exist already.

    Args:
        plan: of a run.
        results: folder of its artifacts.

    Yields:
        image_id, name of the mask, and the artifact that should hold it.
    """
    for artifact in plan.of("export_masks"):
        wrong = artifact.record.spec.get("wrong", {})
        made = [results / found.path for found in (artifact, _without_review(artifact))]
        path = next((path for path in made if path.exists()), None)
        if wrong and path is not None:
            with ArtifactReader(path, kind="masks") as masks:
                for image_id, names in wrong.items():
                    there = {mask_name(runs) for runs in read_instances(masks, image_id).runs}
                    yield from ((image_id, name, path) for name in names if name not in there)


def _without_review(artifact: Artifact) -> Artifact:
    """The same masks, none of them left out: what the person who marked them saw at first."""
    spec = json.loads(artifact.spec)
    spec.pop("wrong", None)
    return replace(artifact, spec=canonical_json(spec))
