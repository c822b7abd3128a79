"""PASCAL VOC files: palette PNGs of classes and of objects, and a tar that depends on its members alone."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from irnet_pipe.errors import InputError

VOID = 255
MAX_LABELS = 254
"""Labels of a palette PNG besides 0 (background) and 255 (void)."""


def voc_palette() -> npt.NDArray[np.uint8]:
    """The VOC colours, (256, 3) uint8: bits of a label, in threes, fill red, green, blue from the top."""
    label = np.arange(256)[:, None]
    bit = np.arange(8)
    channels = [((label >> (3 * bit + c) & 1) << (7 - bit)).sum(axis=1) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.uint8)


_PALETTE = voc_palette().tobytes()


def encode_png(labels: npt.NDArray[np.uint8]) -> bytes:
    """Bytes of a PNG with the VOC palette.

    Args:
        labels: (H, W) uint8: 0 background, 1…254 labels, 255 void.

    Returns:
        the file; equal labels give equal bytes.
    """
    image = Image.fromarray(labels)
    image.putpalette(_PALETTE)
    stream = io.BytesIO()
    # level 9 takes four times as long and saves a sixth of the bytes
    image.save(stream, format="PNG", compress_level=7)
    return stream.getvalue()


def object_map(masks: Sequence[npt.NDArray[np.bool_]], *, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Object map of the instances of one image; where masks overlap, the smaller one is on top.

    Args:
        masks: each (H, W) bool, at most 254.
        size: (H, W).

    Returns:
        (H, W) uint8: 0 background, 1…m in the order of `masks`.

    Raises:
        InputError: more than 254 masks.
    """
    if len(masks) > MAX_LABELS:
        raise InputError(
            f"{len(masks)} instances of an image, a palette PNG holds {MAX_LABELS} at most; use the COCO json"
        )
    objects = np.zeros(size, dtype=np.uint8)
    for i in painting_order(masks):
        objects[masks[i]] = i + 1
    return objects


def painting_order(masks: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Order in which to paint masks, each (H, W), so that the smaller ones end on top: larger ones first."""
    return np.argsort([-np.count_nonzero(mask) for mask in masks], kind="stable")


def write_tar(stream: BinaryIO, members: Iterable[tuple[str, bytes | IO[bytes]]]) -> None:
    """Write an uncompressed tar, file by file; owner and times are zero, so equal members give equal bytes.

    Args:
        stream: where to; it need not be seekable.
        members: name (forward slashes) and content, in the order wanted: sorted, for the sake of readers. What
            need not be in memory at once is given as a file, which is read from its beginning.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            file = io.BytesIO(content) if isinstance(content, bytes) else content
            entry = tarfile.TarInfo(name)
            entry.size = file.seek(0, io.SEEK_END)
            entry.mode = 0o644
            file.seek(0)
            archive.addfile(entry, file)
