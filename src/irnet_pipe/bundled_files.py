"""Where the workflow lies that the package brings: Snakefile, rules, profiles. Light: imported by Snakefiles."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parent / "bundled"
"""Folder of the workflow: copies in an installed package, links to the top level in a clone."""

SNAKEFILE = BUNDLED / "Snakefile"
PROFILES = BUNDLED / "profiles"
