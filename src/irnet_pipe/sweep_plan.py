"""The plan of a sweep: all of its settings, and one publication that shows them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irnet_pipe.config import Config, swept_values
from irnet_pipe.data.image_list import canonical_json
from irnet_pipe.plan import Artifact, Plan, join_plans

FORMAT = 1
"""Of the publication: raise it when another page is made of the same settings."""
FOLDER = "settings"
"""Below outputs/<run>/."""
SHOWN = ("draw_thumbnails", "evaluate_masks")
"""Stages whose artifacts the publication opens: small pictures and scores."""


def plan_sweep(settings: Sequence[tuple[Config, Plan]]) -> Plan:
    """One plan of all settings, what they share once; of two or more, with the publication that compares them.

    The spec of that publication holds `settings`, a list of `values` (swept key → value) and `made_of` (recipes of
    pictures and scores), and `shown`: the images that any report shows with every layer.
    """
    joined = join_plans(plan for _, plan in settings)
    made_of = [[artifact for stage in SHOWN for artifact in plan.of(stage)] for _, plan in settings]
    if len(settings) < 2 or not any(made_of):
        return joined
    reports = [report.record.spec["shown"] for _, plan in settings for report in plan.of("report")]
    run = settings[0][0].run
    facts: dict[str, Any] = {
        "run": f"{run}/{FOLDER}",
        "format": FORMAT,
        "shown": sorted(set().union(*reports)),
        "settings": [
            {"values": dict(swept_values(config)), "made_of": [artifact.recipe for artifact in artifacts]}
            for (config, _), artifacts in zip(settings, made_of, strict=True)
        ],
    }
    publication = Artifact(
        stage="publish",
        unit="all",
        spec=canonical_json({"config": {}, "files": {}, **facts}),
        parents=tuple({artifact.recipe: artifact for each in made_of for artifact in each}.values()),
        label=f"publish all settings of {run}",
    )
    return join_plans([joined, Plan((publication,))])
