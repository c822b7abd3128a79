"""HDF5 artifacts: written atomically, checked on reading.

Layout: root attributes (format, kind, recipe, spec, parents, complete), `/index` with one row per image sorted by
image_id, and `/images/<image_id>/<array>`. Under /images the id is percent-encoded, so that ids with slashes,
spaces or dots are single HDF5 names.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from numpy.typing import NDArray

from irnet_pipe import __version__
from irnet_pipe.artifacts.hdf5 import LeadsOutsideError, bound_cache, own_object
from irnet_pipe.artifacts.schema import FORMAT, FORMAT_VERSION, KIND_OF_STAGE, KIND_VERSIONS
from irnet_pipe.data.image_list import canonical_json
from irnet_pipe.errors import ArtifactError, NewerArtifactError, is_machine_fault
from irnet_pipe.recipes import Record

H5PY_ERRORS = (KeyError, OSError, RuntimeError, ValueError)
"""What h5py raises for damaged files, besides ArtifactErrors of our own."""

ERRNO = re.compile(r"errno = (\d+)")
"""Where HDF5 tells what the operating system said; h5py hands it on in some of its errors alone."""


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Sizes of an image in pixels: of the displayed photo, and the size at which it was processed."""

    height: int
    width: int
    working_height: int
    working_width: int

    @property
    def full(self) -> tuple[int, int]:
        """(H, W) of the displayed photo."""
        return self.height, self.width

    @property
    def working(self) -> tuple[int, int]:
        """(H, W) at which the photo was processed."""
        return self.working_height, self.working_width


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed on to it when the block ends well, removed otherwise.

    The file is fsynced before the rename, and nothing is done after it: a file under its final name is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # two nodes of a cluster may give their jobs the same process id
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # what fails on an open file names none, and the temporary name says nothing to people
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _group_name(image_id: str) -> str:
    return quote(image_id, safe=" ").replace(".", "%2E")


class ArtifactWriter:
    """Writes one HDF5 artifact, image by image in the order of image_id; use `write_artifact`."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._images: list[tuple[str, ImageSize]] = []
        self._root = file.create_group("images", track_order=True)

    def add(
        self,
        image_id: str,
        size: ImageSize,
        arrays: Mapping[str, NDArray[Any]],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an image.

        Args:
            image_id: greater than that of the image before.
            size: of the photo.
            arrays: name → array; a first axis of three or more dimensions is chunked plane by plane.
            attributes: stored on the image's group, for example axes and strides.
        """
        if self._images and image_id <= self._images[-1][0]:
            raise ValueError(
                f"image_id {image_id!r} comes after {self._images[-1][0]!r}; add images in order"
            )
        self._images.append((image_id, size))
        group = self._root.create_group(_group_name(image_id), track_order=True)
        for name, array in arrays.items():
            _write_array(group, name, array)
        for name, value in (attributes or {}).items():
            group.attrs[name] = value

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write index and root attributes; `complete` comes last."""
        index = self._file.create_group("index", track_order=True)
        ids = [image_id for image_id, _ in self._images]
        index.create_dataset("image_id", data=ids, dtype=h5py.string_dtype(), shape=(len(ids),))
        for field in ("height", "width", "working_height", "working_width"):
            values = [getattr(size, field) for _, size in self._images]
            index.create_dataset(field, data=np.asarray(values, dtype=np.int32))
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.attrs["complete"] = 1


def _write_array(group: h5py.Group, name: str, array: NDArray[Any]) -> None:
    if array.size == 0:
        group.create_dataset(name, data=array)
        return
    chunks = (1, *array.shape[1:]) if array.ndim > 2 else array.shape
    dataset = group.create_dataset(
        name, data=array, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True, fletcher32=True
    )
    # left to the end of `dataset`, a failure would be printed and lost
    dataset.flush()


def _system_error(error: Exception, path: Path) -> Exception:
    """What the operating system said, as an OSError, where HDF5 tells it; else the error as it is."""
    found = ERRNO.search(str(error))
    if found is None or int(found[1]) == 0:
        return error
    number = int(found[1])
    return OSError(number, os.strerror(number), str(path))


@contextmanager
def _faults_survived(file: h5py.File) -> Iterator[None]:
    """Closes a file that can no longer be written, for example on a full disk.

    HDF5 would try again and again to write what it holds back, and in the end crash: it is given memory to write to.
    """
    handle, path = file.id.get_vfd_handle(), Path(file.filename)
    try:
        yield
        file.flush()
    except BaseException as error:
        memory = os.memfd_create("abandoned")
        os.dup2(memory, handle)
        os.close(memory)
        if isinstance(error, H5PY_ERRORS):
            raise _system_error(error, path) from error
        raise


@contextmanager
def write_artifact(path: Path, record: Record) -> Iterator[ArtifactWriter]:
    """Write the HDF5 artifact of a recipe: temporary name, fsync, re-opened and validated, renamed."""
    kind = KIND_OF_STAGE[record.stage]
    with atomic_path(path) as temporary:
        with (
            h5py.File(temporary, "w", libver=("v110", "v110"), track_order=True) as file,
            _faults_survived(file),
        ):
            writer = ArtifactWriter(file)
            yield writer
            writer.finish(
                {
                    "format": FORMAT,
                    "format-version": FORMAT_VERSION,
                    "kind": kind,
                    "kind-version": KIND_VERSIONS[kind],
                    "recipe": record.recipe,
                    "stage": record.stage,
                    "unit": record.unit,
                    "spec": canonical_json(record.spec),
                    "parents": canonical_json([parent.path for parent in record.parents]),
                    "generated-by": f"irnet_pipe {__version__}",
                }
            )
        ArtifactReader(temporary, kind=kind).close()


class ArtifactReader:
    """Reads one HDF5 artifact lazily; a context manager. One reader per thread.

    Args:
        path: the file.
        kind: the kind expected (`artifacts.schema`).

    Raises:
        ArtifactError: missing, damaged, incomplete, of another kind or of a newer version.
    """

    def __init__(self, path: Path, *, kind: str) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r", locking=False)
        except FileNotFoundError:
            raise ArtifactError(f"{path}: artifact is missing; run snakemake, which makes it anew") from None
        except OSError as error:
            raise self._told(error) from None
        try:
            bound_cache(self._file)
            self._check(kind)
            self.sizes = self._read_index()
        except BaseException as error:
            self._file.close()
            if isinstance(error, H5PY_ERRORS):
                raise self._told(error) from None
            raise

    def _told(self, error: Exception, key: str = "") -> Exception:
        """The error to raise for what h5py raises: a fault of the machine as it is, else damage."""
        if is_machine_fault(fault := _system_error(error, self.path)):
            return fault
        what = f"{key} is damaged" if key else "damaged"
        reason = "its end is missing" if "truncated file" in str(error) else error
        return ArtifactError(f"{self.path}: {what} ({reason}); delete it and run snakemake again")

    def _check(self, kind: str) -> None:
        attributes = self._file.attrs
        if attributes.get("format") != FORMAT or attributes.get("complete") != 1:
            raise ArtifactError(
                f"{self.path}: no complete artifact (format {attributes.get('format')!r}, expected {FORMAT!r}); "
                "delete it and run snakemake again"
            )
        if attributes["kind"] != kind:
            raise ArtifactError(
                f"{self.path}: holds kind {attributes['kind']!r}, expected {kind!r}; give another file"
            )
        for key, newest in (("format-version", FORMAT_VERSION), ("kind-version", KIND_VERSIONS[kind])):
            if attributes[key] > newest:
                raise NewerArtifactError(
                    f"{self.path}: {key} {attributes[key]} is newer than {newest}, the newest that irnet_pipe "
                    f"{__version__} reads; update irnet_pipe, or delete the file and run snakemake again"
                )

    def _read_index(self) -> dict[str, ImageSize]:
        ids = [image_id.decode() for image_id in self._array("index/image_id")]
        fields = [
            self._array(f"index/{name}").tolist()
            for name in ("height", "width", "working_height", "working_width")
        ]
        return {image_id: ImageSize(*sizes) for image_id, *sizes in zip(ids, *fields, strict=True)}

    @property
    def image_ids(self) -> list[str]:
        """Images, sorted."""
        return list(self.sizes)

    @property
    def attributes(self) -> dict[str, Any]:
        """Root attributes."""
        return dict(self._file.attrs)

    @property
    def spec(self) -> dict[str, Any]:
        """Spec of the recipe."""
        spec: dict[str, Any] = json.loads(self._file.attrs["spec"])
        return spec

    def size(self, image_id: str) -> ImageSize:
        """Sizes of an image.

        Raises:
            ArtifactError: no such image.
        """
        if image_id not in self.sizes:
            raise ArtifactError(f"{self.path}: has no image {image_id!r}; delete it and run snakemake again")
        return self.sizes[image_id]

    def read(self, image_id: str, name: str) -> NDArray[Any]:
        """An array of an image.

        Raises:
            ArtifactError: no such image or array, or its checksum fails.
        """
        key = f"images/{_group_name(image_id)}/{name}"
        try:
            array: NDArray[Any] = self._array(key)
        except KeyError:
            raise ArtifactError(
                f"{self.path}: has no {name!r} of image {image_id!r} ({key}); delete it and run "
                "snakemake again"
            ) from None
        except H5PY_ERRORS as error:
            raise self._told(error, key) from None
        return array

    def names(self, image_id: str) -> list[str]:
        """Names of an image's arrays."""
        return list(self._inside(f"images/{_group_name(image_id)}"))

    def _inside(self, key: str) -> Any:
        """The object of a key, every step to it within this very file."""
        try:
            return own_object(self._file, key)
        except LeadsOutsideError as error:
            raise self._points_outside(key, str(error)) from None

    def _array(self, key: str) -> Any:
        """Content of the data set of a key, all of it from this very file."""
        dataset = self._inside(key)
        if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
            raise self._points_outside(key, "no data set of its own storage")
        return dataset[()]

    def _points_outside(self, key: str, what: str) -> ArtifactError:
        return ArtifactError(
            f"{self.path}: {key} is not stored in this file ({what}), which irnet_pipe never writes; delete "
            "the file and run snakemake again"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ArtifactReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ShardSet:
    """Several artifacts of one kind read as one: finds the shard that holds an image."""

    def __init__(self, paths: Sequence[Path], *, kind: str) -> None:
        self._readers = [ArtifactReader(path, kind=kind) for path in paths]
        self._by_image = {image_id: reader for reader in self._readers for image_id in reader.sizes}

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._by_image

    @property
    def image_ids(self) -> list[str]:
        """All images, sorted."""
        return sorted(self._by_image)

    def _reader(self, image_id: str) -> ArtifactReader:
        if image_id not in self._by_image:
            paths = ", ".join(str(reader.path) for reader in self._readers)
            raise ArtifactError(f"{paths}: has no image {image_id!r}; delete it and run snakemake again")
        return self._by_image[image_id]

    def size(self, image_id: str) -> ImageSize:
        """Sizes of an image; see `ArtifactReader.size`."""
        return self._reader(image_id).size(image_id)

    def read(self, image_id: str, name: str) -> NDArray[Any]:
        """An array of an image; see `ArtifactReader.read`."""
        return self._reader(image_id).read(image_id, name)

    def names(self, image_id: str) -> list[str]:
        """Names of an image's arrays."""
        return self._reader(image_id).names(image_id)

    def close(self) -> None:
        """Close all files."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> ShardSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
