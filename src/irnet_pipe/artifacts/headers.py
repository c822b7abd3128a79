"""What an artifact says about itself, whatever its kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py

from irnet_pipe.artifacts.io import H5PY_ERRORS
from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.errors import ArtifactError

STATED_RECIPE = re.compile(rb"recipe ([0-9a-f]{16})")
DESCRIPTION_BYTES = 1000
"""The description is at the beginning of masks.json, or of counts.json where there are no instances."""


def read_header(path: Path) -> dict[str, Any]:
    """Header of an artifact or checkpoint: key → JSON value; `recipe`, `spec` and `parents` where it states them.

    Raises:
        ArtifactError: missing, or it cannot be read.
    """
    readers = {".h5": _of_hdf5, ".pth": _of_weights, ".json": _of_json, ".tar": _of_tar}
    reader = readers.get(path.suffix)
    if reader is None or not path.is_file():
        return {}
    try:
        return reader(path)
    except (*H5PY_ERRORS, AttributeError, TypeError) as error:
        raise ArtifactError(f"{path}: damaged ({error}); delete it and run snakemake again") from None


def _of_hdf5(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r", locking=False) as file:
        header = {key: value.item() if hasattr(value, "item") else value for key, value in file.attrs.items()}
        images = len(file["index/image_id"])
    for key in ("spec", "parents"):
        if key in header:
            header[key] = json.loads(header[key])
    return header | {"images": images}


def _of_weights(path: Path) -> dict[str, Any]:
    from irnet_pipe.artifacts.weights import load_dict

    content = load_dict(path)
    if "header" not in content:  # a checkpoint
        return {key: content[key] for key in ("recipe", "step")}
    header: dict[str, Any] = content["header"]
    parameters = sum(tensor.numel() for tensor in content["state_dict"].values())
    return header | {"parameters": parameters}


def _of_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    keys = ("format", "format-version", "kind", "kind-version", "recipe")
    return {key: content[key] for key in keys if key in content}


def _of_tar(path: Path) -> dict[str, Any]:
    with open_tar(path) as archive:
        header: dict[str, Any] = {"members": len(archive.getmembers())}
        name = next((name for name in ("masks.json", "counts.json") if name in archive.getnames()), None)
        masks = archive.extractfile(name) if name else None  # thumbnails state nothing of themselves
        stated = STATED_RECIPE.search(masks.read(DESCRIPTION_BYTES)) if masks else None
    return header | ({"recipe": stated[1].decode()} if stated else {})
