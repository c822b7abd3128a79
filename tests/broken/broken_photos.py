"""Faults of photos."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fault import Fault, Project, held_to_permissions
from PIL import Image

A = "photos/images/a.png"
UNDECODABLE = "replace the file, or take it out of the lists"
TOO_SMALL = "both sides must be 16 or more; replace the photo or take it out of the lists"


def holding(name: str, content: bytes) -> Callable[[Project], object]:
    """Photo a is this file."""
    return lambda project: project.replace(A, f"photos/images/{name}", content)


def drawn(name: str, make: Callable[[Path], object]) -> Callable[[Project], object]:
    """Photo a is what PIL saves."""

    def spoil(project: Project) -> None:
        (project.folder / A).unlink()
        make(project.folder / "photos" / "images" / name)

    return spoil


def pictures(mode: str, *sizes: tuple[int, int], **options: object) -> Callable[[Path], object]:
    """Several pictures in a file."""
    first, *others = (Image.new(mode, size, index) for index, size in enumerate(sizes))
    return lambda path: first.save(path, save_all=True, append_images=others, **options)  # type: ignore[arg-type]


def cut(project: Project) -> None:
    path = project.folder / A
    path.write_bytes(path.read_bytes()[:-400])


def bomb(width: int, height: int) -> bytes:
    """Head of a PNG of this size, and nothing of its pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


def link(target: str) -> Callable[[Project], object]:
    def spoil(project: Project) -> None:
        (project.folder / A).unlink()
        (project.folder / A).symlink_to(target)

    return spoil


def gif(project: Project) -> None:
    drawn("a.gif", pictures("P", *[(40, 30)] * 3))(project)
    project.table("a.gif,box\nb,disc\nc,box\nd,\n")


def locked(name: str) -> Callable[[Project], object]:
    def spoil(project: Project) -> None:
        path = project.folder / name
        path.chmod(0)
        project.conditions.callback(path.chmod, 0o755)
        project.conditions.enter_context(held_to_permissions())

    return spoil


def locked_folder(project: Project) -> None:
    (project.folder / "photos/images/locked").mkdir()
    locked("photos/images/locked")(project)


def not_a_name(project: Project) -> None:
    (project.folder / A).rename(project.folder / "photos/images" / os.fsdecode(b"\xe4.png"))


def no_photos(project: Project) -> None:
    for path in (project.folder / "photos" / "images").iterdir():
        path.unlink()
    project.config({"dataset": {"missing": "negative"}})


FAULTS = [
    Fault(
        "HTML saved as .jpg",
        holding("a.jpg", b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"),
        f"FOLDER/photos/images/a.jpg: cannot be decoded (the file is an HTML page); {UNDECODABLE}",
    ),
    Fault(
        "a file without a byte",
        holding("a.png", b""),
        f"FOLDER/photos/images/a.png: cannot be decoded (the file is empty); {UNDECODABLE}",
    ),
    Fault(
        "NUL bytes where a crash came before the data",
        holding("a.png", bytes(2000)),
        "FOLDER/photos/images/a.png: cannot be decoded (the file is NUL bytes alone, as after a crash or "
        f"on a full disk); {UNDECODABLE}",
    ),
    Fault(
        "a HEIC photo of a telephone, named .jpg",
        holding("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        f"FOLDER/photos/images/a.jpg: cannot be decoded (the file is a HEIC photo); {UNDECODABLE}",
    ),
    Fault(
        "a pointer of Git LFS",
        holding("a.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
        "FOLDER/photos/images/a.jpg: cannot be decoded (the file is a pointer of Git LFS, which `git lfs "
        f"pull` replaces by the file); {UNDECODABLE}",
    ),
    Fault(
        "text named .tif",
        holding("a.tif", b"a photo, or so they say"),
        f"FOLDER/photos/images/a.tif: cannot be decoded (the file is of no known format); {UNDECODABLE}",
    ),
    Fault(
        "a photo without its end",
        cut,
        f"FOLDER/photos/images/a.png: cannot be decoded (image file is truncated); {UNDECODABLE}",
    ),
    Fault(
        "a photo of which little has come",
        holding("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        f"FOLDER/photos/images/a.jpg: cannot be decoded (the file is a JPEG without its end); {UNDECODABLE}",
    ),
    Fault(
        "one pixel",
        drawn("a.png", Image.new("RGB", (1, 1)).save),
        f"FOLDER/photos/images/a.png: 1×1 pixels, {TOO_SMALL}",
    ),
    Fault(
        "a side of 65,500 pixels",
        drawn("a.jpg", Image.new("L", (65_500, 16)).save),
        "FOLDER/photos/images/a.jpg: 65500×16 pixels, processed as 512×1 (dataset.working_long_side 512), "
        f"{TOO_SMALL}",
    ),
    Fault(
        "two sides of 65,500 pixels",
        holding("a.png", bomb(65_500, 65_500)),
        "FOLDER/photos/images/a.png: 4290250000 pixels exceed dataset.max_pixels 64000000; scale the photo "
        "down, or raise the bound",
    ),
    Fault(
        "an animated GIF",
        gif,
        "photos/labels.csv: 'a.gif' has labels, but no photo in photos/images; convert the file, .gif is none of .bmp, "
        ".jpeg, .jpg, .png, .tif, .tiff, .webp",
    ),
    Fault(
        "an animated PNG",
        drawn("a.png", pictures("RGB", *[(40, 30)] * 3)),
        "FOLDER/photos/images/a.png: holds 3 pictures, as animations and stacks do, one is expected; save the one that "
        "counts as a file of its own",
    ),
    Fault(
        "a TIFF of several pages",
        drawn("a.tif", pictures("L", *[(40, 30)] * 2)),
        "FOLDER/photos/images/a.tif: holds 2 pictures, as animations and stacks do, one is expected; save the one that "
        "counts as a file of its own",
    ),
    Fault(
        "NaN in a float TIFF",
        drawn("a.tif", Image.fromarray(np.full((30, 40), np.nan, dtype=np.float32)).save),
        "FOLDER/photos/images/a.tif: floating-point pixels are not supported; convert the photo to 8 or 16 bits "
        "a channel",
    ),
    Fault(
        "32 bits a pixel",
        drawn("a.tif", Image.new("I", (40, 30), 70_000).save),
        "FOLDER/photos/images/a.tif: 32-bit pixels are not supported; convert the photo to 8 or 16 bits a channel",
    ),
    Fault(
        "Lab colours",
        drawn("a.tif", Image.new("LAB", (40, 30)).save),
        "FOLDER/photos/images/a.tif: Lab colours are not supported; convert the photo to 8 or 16 bits a channel",
    ),
    Fault(
        "two files that differ in suffix",
        lambda project: project.photo("photos/images/a.jpg"),
        "FOLDER/photos/images: a.jpg and a.png are all image 'a'; rename or move all but one",
    ),
    Fault(
        "two files that differ in case",
        lambda project: (
            project.photo("photos/images/A.png"),
            project.table("a,box\nA,box\nb,disc\nc,box\nd,\n"),
        ),
        "FOLDER/photos/images: A.png and a.png differ in case alone, which other systems do not tell "
        "apart; rename all but one",
    ),
    Fault(
        "a link that leads nowhere",
        link("/mnt/gone/a.png"),
        "FOLDER/photos/images/a.png: a link to /mnt/gone/a.png, which does not exist; put the file back, "
        "or take the photo out of the lists",
    ),
    Fault(
        "a link to itself",
        link("a.png"),
        "FOLDER/photos/images/a.png: a link to a.png, which does not exist; put the file back, or take the "
        "photo out of the lists",
    ),
    Fault(
        "a photo that may not be read",
        locked(A),
        "FOLDER/photos/images/a.png: cannot be read (Permission denied); check the file's permissions",
    ),
    Fault(
        "a folder that may not be read",
        locked_folder,
        "FOLDER/photos/images/locked: Permission denied; check owner and permissions of the file and its folder",
    ),
    Fault(
        "a file name that is no UTF-8",
        not_a_name,
        "photos/images: file name '\\udce4.png' is not UTF-8; rename the file",
    ),
    Fault(
        "a folder without photos",
        no_photos,
        (
            "photos/labels.csv: 'a' has labels, but no photo in photos/images; add it or delete them",
            "photos/labels.csv: 'b' has labels, but no photo in photos/images; add it or delete them",
            "photos/labels.csv: 'c' has labels, but no photo in photos/images; add it or delete them",
            "photos/labels.csv: 'd' has labels, but no photo in photos/images; add it or delete them",
            "photos/images: holds no photo; set dataset.photos",
        ),
    ),
]
