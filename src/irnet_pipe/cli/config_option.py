"""The option that names the files of a config."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_config(verb: argparse.ArgumentParser) -> None:
    """Add `--config`, which names what `irnet-pipe init` writes where it is left out."""
    verb.add_argument(
        "--config",
        type=Path,
        nargs="+",
        default=[Path("config.yaml")],
        help="YAML files; later ones override (default: config.yaml)",
    )
