"""The plan of the tables: the scores that their cells show, what these are made of, and one publication."""

from __future__ import annotations

from collections.abc import Iterable

from irnet_pipe.data.image_list import canonical_json
from irnet_pipe.evaluation.tables import RAW_CAM
from irnet_pipe.plan import Artifact, Plan, join_plans
from irnet_pipe.tables.settings import TableSetting

FORMAT = 1
"""Of the publication: raise it when other files are written for the same scores."""
FOLDER = "tables"
"""Below outputs/<run>/."""


def plan_tables(run: str, plans: Iterable[tuple[TableSetting, Plan]]) -> Plan:
    """One plan of all settings, cut to what the cells show; its only target is the publication of the tables.

    The spec of the publication holds `cells`: name of a row → seed → recipe of its scores.

    Args:
        run: name of the run.
        plans: settings with their plans.
    """
    cells: dict[str, dict[str, str]] = {}
    scores: dict[str, Artifact] = {}
    cut = []
    for setting, plan in plans:
        by_variant = _scores(plan)
        shown = [by_variant[row.variant] for row in setting.rows]
        for row, artifact in zip(setting.rows, shown, strict=True):
            cells.setdefault(row.name, {})[str(setting.config.seed)] = artifact.recipe
            scores[artifact.recipe] = artifact
        cut.append(plan.up_to(shown))
    facts = {"run": f"{run}/{FOLDER}", "format": FORMAT, "cells": cells}
    publication = Artifact(
        stage="publish",
        unit="all",
        spec=canonical_json({"config": {}, "files": {}, **facts}),
        parents=tuple(scores.values()),
        label=f"publish all tables of {run}",
    )
    return join_plans([*cut, Plan((publication,))])


def _scores(plan: Plan) -> dict[str, Artifact]:
    """Variant → its scores, in the plan of one setting."""
    scores = (*plan.of("evaluate_cam"), *plan.of("evaluate_masks"))
    return {artifact.record.spec.get("variant", RAW_CAM): artifact for artifact in scores}
