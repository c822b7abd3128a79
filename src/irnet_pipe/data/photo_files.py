"""Photo files: which there are, and what a first look at each tells. PIL is loaded for new photos alone."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from irnet_pipe.data.file_contents import HEAD, what_it_is
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
LABEL_MODES = ("P", "L")
VOID = 255
CUT = ("a JPEG", "a PNG", "a GIF")
"""What is known by its beginning, and yet cannot be opened."""


class PhotoFacts(NamedTuple):
    """What is remembered of a photo or label map.

    Attributes:
        digest: first 16 hex of its sha256.
        height: as displayed, pixels.
        width: likewise.
        largest_label: of a palette or 8-bit grey picture, its largest value below 255; None of any other.
    """

    digest: str
    height: int
    width: int
    largest_label: int | None = None


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

    def remedy(self, name: str, *, otherwise: str) -> str:
        """What to do about a name that leads to no photo: convert the file, correct the name, or `otherwise`."""
        stem, suffix = split_suffix(name)
        if suffix in SUFFIXES:
            name = stem
        elif suffix and _is_file(self.folder / name):
            return f"convert the file, {suffix} is none of {', '.join(sorted(SUFFIXES))}"
        near = self._by_folded.get(name.casefold())
        return otherwise if near is None else f"write {near!r}"

    @cached_property
    def _by_folded(self) -> dict[str, str]:
        return {image_id.casefold(): image_id for image_id in self.files}


def _is_file(path: Path) -> bool:
    """As Path.is_file, and False for what no file can be called."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
        _check_single(path, image)
        image.load()
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        # what PIL says of these is the address of an object
        unknown = what_it_is(data[:HEAD]) or "of no known format"
        cut = " without its end" if unknown in CUT else ""
        reason = f"the file is {unknown}{cut}" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(
            f"{path}: cannot be decoded ({reason}); replace the file, or take it out of the lists"
        ) from None


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


def _check_single(path: Path, image: Image) -> None:
    """Which picture of an animation or a stack counts, nobody has told; previews, of another size, do not count."""
    pictures = getattr(image, "n_frames", 1)
    if pictures == 1 or image.format == "MPO":  # a camera's JPEG with its previews
        return
    size = image.size
    image.seek(1)
    alike = image.size == size
    image.seek(0)
    if alike:
        raise InputError(
            f"{path}: holds {pictures} pictures, as animations and stacks do, one is expected; save the one that "
            "counts as a file of its own"
        )


def working_size(height: int, width: int, *, long_side: int | None) -> tuple[int, int]:
    """Size (height, width) at which a photo is processed: the longer side `long_side` at most, none 0."""
    longest = max(height, width)
    if long_side is None or longest <= long_side:
        return height, width
    # Rounded half up, in integers: the same on every machine.
    scaled = [max(1, (2 * side * long_side + longest) // (2 * longest)) for side in (height, width)]
    return scaled[0], scaled[1]


def examine(path: Path, *, max_pixels: int) -> PhotoFacts:
    """Digest and size of a photo or label map, which is decoded in full.

    Raises:
        InputError: it cannot be used.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(_unreadable(path, error)) from None
    image = decode(data, path, max_pixels=max_pixels)
    digest = hashlib.sha256(data).hexdigest()[:16]
    return PhotoFacts(digest, image.height, image.width, _largest_label(image))


def _unreadable(path: Path, error: OSError) -> str:
    if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP):
        return (
            f"{path}: a link to {path.readlink()}, which does not exist; put the file back, or take the photo out of "
            "the lists"
        )
    return f"{path}: cannot be read ({error.strerror}); check the file's permissions"


def _largest_label(image: Image) -> int | None:
    if image.mode not in LABEL_MODES:
        return None
    found = image.histogram()[:VOID]
    return max((value for value, pixels in enumerate(found) if pixels), default=0)


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
        title: what is examined: photos or label maps.

    Returns:
        Key → facts, for the photos that can be used.
    """
    facts: dict[str, PhotoFacts] = {}
    new: list[str] = []
    for key, (path, stat) in files.items():
        known = cache.get(title, path, stat)
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
            cache.put(title, path, stat, found)
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
