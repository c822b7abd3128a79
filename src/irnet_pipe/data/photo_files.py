"""Photo files: which there are, and what a first look at each tells. PIL is loaded for new photos alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from irnet_pipe.data.problems import Problems
from irnet_pipe.data.scan import FileStat, StatCache, relative_path, scan_files, split_suffix
from irnet_pipe.errors import InputError
from irnet_pipe.runtime.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
LEAST_SIDE = 16
QUIET_UP_TO = 200
THREADS = 8
BATCH = 256
UNSUPPORTED_MODES = {"F": "floating-point pixels", "LAB": "Lab colours"}


class PhotoFacts(NamedTuple):
    """What is remembered of a photo: first 16 hex of its sha256; height and width as displayed, in pixels."""

    digest: str
    height: int
    width: int


@dataclass(frozen=True)
class PhotoFolder:
    """The photos below a folder.

    Attributes:
        folder: where they lie.
        prefix: the folder, relative to dataset.root: '' or with a slash at its end.
        files: image_id → path relative to `folder`.
        stats: path relative to `folder` → stat.
        clashes: image_id → files that differ in suffix alone, where there are several.
    """

    folder: Path
    prefix: str
    files: dict[str, str]
    stats: dict[str, FileStat]
    clashes: dict[str, list[str]]

    def resolve(self, text: str) -> str | None:
        """The image_id that a list or a label means: an id, or a file with suffix, below `folder` or root."""
        for name in (text, text.removeprefix("./"), text.removeprefix(self.prefix)):
            if name in self.files:
                return name
            stem, suffix = split_suffix(name)
            if suffix in SUFFIXES and stem in self.files:
                return stem
        return None


def find_photos(folder: Path, *, root: Path, skip: list[Path]) -> PhotoFolder:
    """Scan a folder for photos; `skip` names folders that are left out.

    Raises:
        InputError: a file name is not UTF-8.
    """
    stats = scan_files(folder, suffixes=SUFFIXES, skip=skip)
    undecodable = [name for name in stats if not is_text(name)]
    if undecodable:
        raise InputError(
            f"{folder}: file name {name!r} is not UTF-8; rename the file" for name in undecodable
        )
    by_id: dict[str, list[str]] = {}
    for name in stats:
        by_id.setdefault(split_suffix(name)[0], []).append(name)
    relative = relative_path(folder, root)
    return PhotoFolder(
        folder=folder,
        prefix="" if relative == "." else f"{relative}/",
        files={image_id: names[0] for image_id, names in by_id.items()},
        stats=stats,
        clashes={image_id: names for image_id, names in by_id.items() if len(names) > 1},
    )


def is_text(name: str) -> bool:
    """Whether a file name is UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode(data: bytes, path: Path, *, max_pixels: int | None = None) -> Image:
    """Decode a photo in full and turn it upright (EXIF orientation).

    Args:
        data: content of the file.
        path: its name, for messages.
        max_pixels: greatest number of pixels, checked before decoding.

    Raises:
        InputError: not an image, truncated, too large, or of a pixel type that is not supported.
    """
    import struct
    import zlib

    from PIL import Image, ImageOps, UnidentifiedImageError

    # `max_pixels` guards against image bombs; PIL's own guard has a fixed bound.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(BytesIO(data))
        _check_pixels(path, image.height * image.width, max_pixels)
        _check_mode(path, image)
        image.load()
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        # what PIL says of these is the address of an object
        reason = "no image of a known format" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(
            f"{path}: cannot be decoded ({reason}); replace the file, or take it out of the lists"
        ) from None


def working_size(height: int, width: int, *, long_side: int | None) -> tuple[int, int]:
    """Size (height, width) at which a photo is processed: the longer side `long_side` at most, none 0."""
    longest = max(height, width)
    if long_side is None or longest <= long_side:
        return height, width
    # Rounded half up, in integers: the same on every machine.
    scaled = [max(1, (2 * side * long_side + longest) // (2 * longest)) for side in (height, width)]
    return scaled[0], scaled[1]


def _check_pixels(path: Path, pixels: int, max_pixels: int | None) -> None:
    if max_pixels is not None and pixels > max_pixels:
        raise InputError(
            f"{path}: {pixels} pixels exceed dataset.max_pixels {max_pixels}; scale the photo down, "
            "or raise the bound"
        )


def _check_mode(path: Path, image: Image) -> None:
    kind = UNSUPPORTED_MODES.get(image.mode)
    if image.mode == "I" and image.getextrema()[1] > 65535:  # type: ignore[operator]
        kind = "32-bit pixels"
    if kind:
        raise InputError(f"{path}: {kind} are not supported; convert the photo to 8 or 16 bits a channel")


def examine(path: Path, *, max_pixels: int) -> PhotoFacts:
    """Digest and size of a photo, which is decoded in full.

    Raises:
        InputError: the photo cannot be used.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file's permissions") from None
    image = decode(data, path, max_pixels=max_pixels)
    return PhotoFacts(hashlib.sha256(data).hexdigest()[:16], image.height, image.width)


def examine_all(
    files: Mapping[str, tuple[str, FileStat]],
    *,
    cache: StatCache,
    max_pixels: int,
    problems: Problems,
    title: str,
) -> dict[str, PhotoFacts]:
    """Examine photos; those seen before are not opened again.

    Args:
        files: any key → absolute path and stat; paths as text, since there may be very many.
        cache: of earlier looks.
        max_pixels: greatest number of pixels.
        problems: takes a message for each photo that cannot be used.
        title: what is examined, for the progress on stderr that many new files get.

    Returns:
        Key → facts, for the photos that can be used.
    """
    facts: dict[str, PhotoFacts] = {}
    new: list[str] = []
    for key, (path, stat) in files.items():
        known = cache.get("photos", path, stat)
        # The bound may have been lowered since; a new look words the error.
        if known is None or known[1] * known[2] > max_pixels:
            new.append(key)
        else:
            facts[key] = PhotoFacts(*known)
    for key, found in _look(new, files, max_pixels=max_pixels, title=title):
        if isinstance(found, InputError):
            problems.add_error(f"unusable {title}", found)
        else:
            path, stat = files[key]
            cache.put("photos", path, stat, found)
            facts[key] = found
    return facts


def _look(
    keys: list[str], files: Mapping[str, tuple[str, FileStat]], *, max_pixels: int, title: str
) -> Iterator[tuple[str, PhotoFacts | InputError]]:
    def look(key: str) -> PhotoFacts | InputError:
        try:
            return examine(Path(files[key][0]), max_pixels=max_pixels)
        except InputError as error:
            return error

    progress = Progress(total=len(keys), title=f"examining new {title}")
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        # In batches, so that an interrupt waits for few.
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            for done, (key, found) in enumerate(zip(batch, pool.map(look, batch), strict=True), start + 1):
                if len(keys) > QUIET_UP_TO:
                    progress.update(done)
                yield key, found
