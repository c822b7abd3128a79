"""Large JSON files element by element, and where the elements lie; memory does not grow with the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from irnet_pipe.errors import InputError

CHUNK = 1 << 20
LARGEST_VALUE = 1 << 28
"""Bytes of one element; an unclosed one would be read to the end of the file."""

_DECODER = json.JSONDecoder()
_BEHIND = frozenset(",]} \t\n\r:")


class Element(NamedTuple):
    """An element of a list, or a member of the outer object that is no list.

    Attributes:
        key: of the outer object; empty where the file is one list.
        value: parsed.
        start: first byte.
        length: bytes.
    """

    key: str
    value: Any
    start: int
    length: int


def is_list(path: Path) -> bool:
    """Whether the outer value of a file begins as a list."""
    with path.open("rb") as stream:
        return _Window(path, stream).next() == "["


def read_elements(path: Path) -> Iterator[Element]:
    """Elements of a file that is a list, or an object of lists and other members.

    Raises:
        InputError: no JSON, or another value.
    """
    with path.open("rb") as stream:
        text = _Window(path, stream)
        if text.next() == "[":
            yield from _list_elements(text, "")
        elif text.next() == "{":
            yield from _members(text)
        else:
            raise text.error("neither a list nor an object")
        if text.next():
            raise text.error("more text after the end")


def read_element(file: int, *, start: int, length: int) -> Any:
    """The element of an open file (a descriptor) at a place that `read_elements` gave."""
    return json.loads(os.pread(file, length, start))


def _members(text: _Window) -> Iterator[Element]:
    for _ in _separated(text, "{", "}"):
        key = text.value().value
        if not isinstance(key, str):
            raise text.error("a key that is no string")
        text.take(":")
        if text.next() == "[":
            yield from _list_elements(text, key)
        else:
            yield text.value()._replace(key=key)


def _list_elements(text: _Window, key: str) -> Iterator[Element]:
    for _ in _separated(text, "[", "]"):
        yield text.value()._replace(key=key)


def _separated(text: _Window, opening: str, closing: str) -> Iterator[None]:
    """One turn for each element, which the caller takes."""
    text.take(opening)
    if text.next() != closing:
        yield
        while text.next() != closing:
            text.take(",")
            yield
    text.take(closing)


class _Window:
    """Part of a file as text. One character is one byte, so that places in the text are places in the file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream
        self._text, self._at, self._first = "", 0, 0
        self._read(CHUNK)
        if self._text.startswith("\xef\xbb\xbf"):  # the mark of UTF-8 that some programs write
            self._at = 3

    def _read(self, size: int) -> bool:
        """Drop what was taken and read on; False at the end of the file."""
        more = self._stream.read(size).decode("latin-1")
        if more:
            self._first += self._at
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)

    def next(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\n\r":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read(CHUNK):
                return ""

    def take(self, character: str) -> None:
        if (found := self.next()) != character:
            raise self.error(f"{character!r} is expected, found is {found!r}" if found else "it is cut off")
        self._at += 1

    def value(self) -> Element:
        self.next()
        while True:
            rest = len(self._text) - self._at
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                problem = self.error(error.msg, at=error.pos)
                if rest > LARGEST_VALUE or not self._read(max(CHUNK, rest)):
                    raise problem from None
            else:
                # What follows no value may be the rest of a number that goes on behind the end of what was read.
                if self._text[end : end + 1] in _BEHIND or not self._read(CHUNK):
                    break
        start, length = self._first + self._at, end - self._at
        text, self._at = self._text[self._at : end], end
        if not text.isascii():
            value = self._decoded(text, start)
        return Element("", value, start, length)

    def _decoded(self, text: str, start: int) -> Any:
        try:
            return json.loads(text.encode("latin-1").decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError(
                f"{self._path}: no JSON, text at byte {start} is not UTF-8; write it anew"
            ) from None

    def error(self, what: str, *, at: int | None = None) -> InputError:
        place = self._first + (self._at if at is None else at)
        return InputError(
            f"{self._path}: no JSON of COCO's kind at byte {place}: {what}; write the file anew"
        )
