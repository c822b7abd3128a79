"""Weights files: the final state dict of a trainer, with a header and the training curves.

One file of `torch.save`, readable with `weights_only=True`: {'header', 'history', 'state_dict'}. Equal
content gives equal bytes, whatever the file's name.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.data.file_contents import HEAD, what_it_is
from irnet_pipe.errors import ArtifactError, InputError, NewerArtifactError, is_machine_fault

FORMAT = "irnet_pipe.weights"
FORMAT_VERSION = 1
ZIP = b"PK\x03\x04"
"""What files of torch.save begin with."""
KINDS = ("cam", "irnet", "affinitynet", "maskrcnn", "deeplab")


@dataclass(frozen=True, slots=True)
class Weights:
    """Content of a weights file.

    Attributes:
        header: format, format-version, kind, backbone, classes and what else the trainer states.
        state_dict: parameters and buffers by name.
        history: training curves, name → one value per logged step.
    """

    header: dict[str, Any]
    state_dict: dict[str, Tensor]
    history: dict[str, list[float]]


def write_weights(
    path: Path,
    *,
    header: Mapping[str, Any],
    state_dict: Mapping[str, Tensor],
    history: Mapping[str, list[float]],
) -> None:
    """Write a weights file: temporary name, re-opened, fsynced, renamed.

    Args:
        path: of the file; replaced where it exists.
        header: JSON values, `kind` (one of `KINDS`) among them; format and version are added.
        state_dict: parameters and buffers, on any device.
        history: training curves.

    Raises:
        ValueError: the header's `kind` is none of `KINDS`.
    """
    if header["kind"] not in KINDS:
        raise ValueError(f"kind {header['kind']!r}, expected one of {KINDS}")
    content = {
        "header": _canonical({**header, "format": FORMAT, "format-version": FORMAT_VERSION}),
        "history": _canonical(history),
        "state_dict": {key: _canonical_tensor(state_dict[key]) for key in sorted(state_dict)},
    }
    with atomic_path(path) as temporary:
        save_tensors(content, temporary)
        read_weights(temporary, kind=header["kind"])


def _canonical(value: Mapping[str, Any]) -> dict[str, Any]:
    # pickle writes an object that occurs twice as a reference: a round trip makes all objects anew
    fresh: dict[str, Any] = json.loads(json.dumps(value, sort_keys=True))
    return fresh


def _canonical_tensor(value: Tensor) -> Tensor:
    # cloned so that views and aliases are stored as tensors of their own, and strides as of a dense array
    return value.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def read_weights(path: Path, *, kind: str) -> Weights:
    """Read a weights file.

    Args:
        path: of the file.
        kind: the kind expected, one of `KINDS`.

    Raises:
        ArtifactError: missing, damaged, no weights file of ours, of another kind or of a newer version.
    """
    content = load_dict(path)
    header = content.get("header")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtifactError(
            f"{path}: no weights file of irnet_pipe: key header/format, expected {FORMAT!r}; "
            "a state dict of the reference is turned into one by `irnet-pipe import-weights`"
        )
    version = header.get("format-version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise NewerArtifactError(
            f"{path}: key header/format-version, found {version!r}, expected at most {FORMAT_VERSION}; "
            "update irnet_pipe, or train again"
        )
    if header.get("kind") != kind:
        raise ArtifactError(
            f"{path}: key header/kind, found {header.get('kind')!r}, expected {kind!r}; "
            "give a file of that kind"
        )
    for key in ("state_dict", "history"):
        if not isinstance(content.get(key), dict):
            raise ArtifactError(
                f"{path}: key {key}, expected a dict, found none; the file is damaged: make it anew"
            )
    return Weights(header, content["state_dict"], content["history"])


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a plain state dict (name → tensor) that another program has saved with torch.

    Raises:
        ArtifactError: missing, damaged, or anything but a dict of tensors.
    """
    content = load_dict(path)
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise ArtifactError(
                f"{path}: key {key}, expected a tensor, found {type(value).__name__}; "
                "give a file that holds a state dict and nothing else"
            )
    return content


def save_tensors(content: Mapping[str, Any], path: Path) -> None:
    """torch.save of tensors and plain values.

    Raises:
        OSError: the file cannot be written, such as on a full disk.
    """
    # through a file object: given a path, torch writes its name into the archive
    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # what torch says when it cannot finish the archive hides why
            if isinstance(error.__context__, OSError):
                raise OSError(error.__context__.errno, error.__context__.strerror, str(path)) from None
            raise


def load_tensors(path: Path) -> Any:
    """torch.load of tensors alone, on the CPU, with checksums compared: torch writes them, but compares none.

    Raises:
        ValueError: a checksum differs.
    """
    if zipfile.is_zipfile(path):  # files of torch before 1.6 are none, and have no checksums
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"checksum of {damaged}")
    return torch.load(path, map_location="cpu", weights_only=True)


def load_dict(path: Path) -> dict[str, Any]:
    """A dict that torch.save has written, of tensors and plain values alone, on the CPU, checksums compared.

    Raises:
        ArtifactError: missing, damaged, or no dict.
    """
    try:
        content = load_tensors(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; give the path of a weights file") from None
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        if is_machine_fault(error):
            raise
        raise ArtifactError(
            f"{path}: cannot be read as a file of torch.save that holds tensors alone ({_reason(path, error)}); "
            "the file is damaged or of another format: give another one, or make it anew"
        ) from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: expected a dict, found {type(content).__name__}; give a state dict")
    return content


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be read, for a person; what torch says of these is long, and advises to trust the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(ZIP):
        if not zipfile.is_zipfile(path):
            return "its end is missing"
        if isinstance(error, UnpicklingError):
            return "it holds other Python objects, which may run any code when they are loaded"
    elif (kind := what_it_is(head)) is not None:
        return f"the file is {kind}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def first_mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """Describe the first key in which two state dicts differ in name or shape; None where they agree.

    The counters of BatchNorm may be absent: files of old releases of torch have none.
    """
    for key in [*expected, *(key for key in found if key not in expected)]:
        if key.endswith("num_batches_tracked") and key not in found:
            continue
        shapes = [
            str(tuple(state[key].shape)) if key in state else "no such key" for state in (expected, found)
        ]
        if shapes[0] != shapes[1]:
            return f"key {key}, expected {shapes[0]}, found {shapes[1]}"
    return None


def check_finite(state_dict: Mapping[str, Tensor], *, source: Path) -> None:
    """Refuse weights that no network computes with.

    Raises:
        InputError: a value is NaN or infinite.
    """
    for key, value in state_dict.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(
                f"{source}: key {key} holds NaN or infinity: the training that wrote it has diverged; give another "
                "file, or train anew at a lower learning rate"
            )


def load_weights(module: nn.Module, state_dict: Mapping[str, Tensor], *, source: Path) -> None:
    """Copy a state dict into a network.

    Args:
        module: takes the values.
        state_dict: parameters and buffers by name.
        source: the file they came from, for messages.

    Raises:
        InputError: the state dict is that of another architecture or number of classes, or its values are not finite.
    """
    mismatch = first_mismatch(module.state_dict(), state_dict)
    if mismatch is not None:
        raise InputError(
            f"{source}: weights of another architecture: {mismatch}; "
            "set backbone and classes to those of the file, or give another file"
        )
    check_finite(state_dict, source=source)
    module.load_state_dict(state_dict)
