"""What a file that is not what its name says may be, by its first bytes."""

from __future__ import annotations

HEAD = 512
"""Bytes that tell."""
_BEGINNINGS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"%pdf", "a PDF"),
    (b"pk\x03\x04", "a zip archive, as Excel files are"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89hdf", "an HDF5 file"),
    (b"version https://git-lfs", "a pointer of Git LFS, which `git lfs pull` replaces by the file"),
    (b"gif8", "a GIF"),
    (b"\xff\xd8\xff", "a JPEG"),
    (b"\x89png", "a PNG"),
)
_BRANDS = {
    b"heic": "a HEIC photo",
    b"heix": "a HEIC photo",
    b"mif1": "a HEIC photo",
    b"avif": "an AVIF photo",
}


def what_it_is(head: bytes) -> str | None:
    """A few words for a person, or None where the bytes tell nothing.

    Args:
        head: the first `HEAD` bytes of a file, or all of it.
    """
    if not head:
        return "empty"
    if not head.strip(b"\0"):
        return "NUL bytes alone, as after a crash or on a full disk"
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if head[8:10] == b'{"':
        return "a safetensors file"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<?xml") and b"<svg" in text:
        return "an SVG drawing"
    return next((name for beginning, name in _BEGINNINGS if text.startswith(beginning)), None)
