"""JSON artifacts: small results under the same header as the HDF5 artifacts, beside their own keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irnet_pipe import __version__
from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.artifacts.schema import FORMAT, FORMAT_VERSION, JSON_KEYS, KIND_OF_STAGE, KIND_VERSIONS
from irnet_pipe.data.image_list import canonical_json, digest_text
from irnet_pipe.errors import ArtifactError, NewerArtifactError, is_machine_fault
from irnet_pipe.recipes import Record

DIGEST = "digest"
"""Key that vouches for all others."""

WITHOUT_DIGEST = 1
"""Version of every kind whose files have none."""


def write_json(path: Path, record: Record, content: Mapping[str, Any]) -> None:
    """Write the JSON artifact of a recipe: temporary name, fsync, renamed.

    Args:
        path: of the file.
        record: its recipe.
        content: JSON values; NaN is refused.
    """
    kind = KIND_OF_STAGE[record.stage]
    header = {
        "format": FORMAT,
        "format-version": FORMAT_VERSION,
        "kind": kind,
        "kind-version": KIND_VERSIONS[kind],
        "recipe": record.recipe,
    }
    text = (
        json.dumps(_with_digest({**header, **content}), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path, *, kind: str) -> dict[str, Any]:
    """Read a JSON artifact: header and content.

    Args:
        path: the file.
        kind: the kind expected (`artifacts.schema`).

    Raises:
        ArtifactError: missing, damaged, of another kind or of a newer version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: artifact is missing; run snakemake, which makes it anew") from None
    except (OSError, ValueError) as error:
        if is_machine_fault(error):
            raise
        raise _damaged(path, error) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ArtifactError(
            f"{path}: no artifact, expected format {FORMAT!r}; delete it and run snakemake again"
        )
    if content.get("kind") != kind:
        raise ArtifactError(
            f"{path}: holds kind {content.get('kind')!r}, expected {kind!r}; give another file"
        )
    for key, newest in (("format-version", FORMAT_VERSION), ("kind-version", KIND_VERSIONS[kind])):
        if not isinstance(content.get(key), int):
            raise _damaged(path, f"{key} is {content.get(key)!r}")
        if content[key] > newest:
            raise NewerArtifactError(
                f"{path}: {key} {content[key]} is newer than {newest}, the newest that irnet_pipe {__version__} "
                "reads; update irnet_pipe, or delete the file and run snakemake again"
            )
    if content["kind-version"] != WITHOUT_DIGEST and content.get(DIGEST) != _digest(content):
        raise _damaged(path, "its digest is not that of its content")
    for key in JSON_KEYS[kind]:
        if key not in content:
            raise _damaged(path, f"has no {key!r}")
    return content


def _with_digest(content: dict[str, Any]) -> dict[str, Any]:
    # A digest of what a reader will see: keys that are numbers, for one, become strings.
    return {**content, DIGEST: _digest(json.loads(json.dumps(content)))}


def _digest(content: dict[str, Any]) -> str:
    return digest_text(canonical_json({key: value for key, value in content.items() if key != DIGEST}))


def _damaged(path: Path, what: object) -> ArtifactError:
    return ArtifactError(f"{path}: damaged ({what}); delete it and run snakemake again")
