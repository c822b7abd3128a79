"""Whether an artifact is whole: every byte of it is read, and compared with the checksums that its format has."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from irnet_pipe.artifacts.io import H5PY_ERRORS, ArtifactReader
from irnet_pipe.artifacts.json_files import read_json
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.artifacts.weights import load_dict, read_weights
from irnet_pipe.errors import ArtifactError

KIND_OF_WEIGHTS = {
    "train_cam": "cam",
    "train_irnet": "irnet",
    "train_affinitynet": "affinitynet",
    "train_maskrcnn": "maskrcnn",
    "train_deeplab": "deeplab",
}
HTML_END = b"</html>\n"


def check_artifact(path: Path, *, stage: str) -> None:
    """Read an artifact from beginning to end.

    Args:
        path: the file.
        stage: the stage that made it.

    Raises:
        ArtifactError: it is damaged, or of another kind.
        NewerArtifactError: of a version that cannot be judged.
    """
    checks = {".h5": _check_hdf5, ".pth": _check_weights, ".json": _check_json, ".tar": _check_tar}
    try:
        checks.get(path.suffix, _check_html)(path, stage)
    except (*H5PY_ERRORS, AttributeError, SyntaxError, TypeError) as error:
        raise damaged(path, error) from None


def check_checkpoint(path: Path, *, recipe: str) -> None:
    """Read a checkpoint of a recipe from beginning to end.

    Raises:
        ArtifactError: it is damaged, or of another recipe.
    """
    found = load_dict(path).get("recipe")
    if found != recipe:
        raise damaged(path, f"states recipe {found}")


def damaged(path: Path, reason: object) -> ArtifactError:
    """What is said of a damaged file."""
    return ArtifactError(f"{path}: damaged ({reason}); delete it and run snakemake again")


def _check_recipe(path: Path, found: object) -> None:
    if found != path.name.split(".")[1]:
        raise damaged(path, f"states recipe {found}")


def _check_hdf5(path: Path, stage: str) -> None:
    with ArtifactReader(path, kind=KIND_OF_STAGE[stage]) as reader:
        _check_recipe(path, reader.attributes["recipe"])
        for image_id in reader.image_ids:
            for name in reader.names(image_id):
                reader.read(image_id, name)


def _check_weights(path: Path, stage: str) -> None:
    # Weights adopted from a file state the recipe of that file.
    read_weights(path, kind=KIND_OF_WEIGHTS[stage])


def _check_json(path: Path, stage: str) -> None:
    _check_recipe(path, read_json(path, kind=KIND_OF_STAGE[stage])["recipe"])


def _check_tar(path: Path, stage: str) -> None:
    with open_tar(path) as archive:
        for member in archive.getmembers():
            _check_member(member.name, _read_member(archive, member))


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def _check_member(name: str, content: bytes) -> None:
    if name.endswith(".png"):
        with Image.open(io.BytesIO(content)) as picture:
            picture.verify()  # compares the checksum of every chunk
    elif name.endswith(".jpeg"):
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    elif name.endswith(".js"):
        if not content.decode().endswith(");\n"):
            raise ValueError(f"the end of {name} is missing")
    else:
        json.loads(content)


def _check_html(path: Path, stage: str) -> None:
    if not path.read_bytes().endswith(HTML_END):
        raise damaged(path, "its end is missing")
