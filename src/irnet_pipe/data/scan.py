"""Which files a folder holds, and what was learnt about them before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from irnet_pipe.text_files import replace_text

VERSION = 1


class FileStat(NamedTuple):
    """What tells that a file is as it was."""

    size: int
    mtime_ns: int


def split_suffix(name: str) -> tuple[str, str]:
    """Name without suffix, and the suffix in lower case with its dot."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot else (name, "")


def relative_path(path: Path, root: Path) -> str:
    """Path from `root`, with forward slashes, such that root / path leads there even if root is a link."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()


def file_stat(path: Path) -> FileStat:
    """Stat of one file."""
    stat = path.stat()
    return FileStat(stat.st_size, stat.st_mtime_ns)


def scan_files(
    folder: Path, *, suffixes: Collection[str], skip: Collection[Path] = ()
) -> dict[str, FileStat]:
    """Files below a folder.

    Args:
        folder: searched with its sub-folders; hidden files and folders are left out, links are followed. A link that
            leads nowhere is a file, whose reader tells so.
        suffixes: lower-case suffixes with their dots; others are left out.
        skip: resolved folders that are not entered.

    Returns:
        Path relative to `folder`, with forward slashes → stat, sorted by path.
    """
    found: dict[str, FileStat] = {}
    skipped = set(skip)
    entered: set[tuple[int, int]] = set()
    open_folders = [(folder.resolve(), "")]
    while open_folders:
        place, prefix = open_folders.pop()
        here = place.stat()
        # A link may lead back to a folder above it.
        if place in skipped or (here.st_dev, here.st_ino) in entered:
            continue
        entered.add((here.st_dev, here.st_ino))
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                leads_nowhere = _leads_nowhere(entry)
                if not leads_nowhere and entry.is_dir():
                    open_folders.append((place / entry.name, f"{prefix}{entry.name}/"))
                elif split_suffix(entry.name)[1] in suffixes and (leads_nowhere or entry.is_file()):
                    stat = entry.stat(follow_symlinks=not leads_nowhere)
                    found[prefix + entry.name] = FileStat(stat.st_size, stat.st_mtime_ns)
    return dict(sorted(found.items()))


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link, and what it leads to is missing, or is the link itself."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError:
        return True
    return False


class StatCache:
    """Remembers what was read from files, as long as their size and time stay; one JSON file.

    Args:
        path: of the JSON file; one that is missing or unreadable counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._kinds: dict[str, dict[str, list[Any]]] = {}
        self._used: set[tuple[str, str]] = set()
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(stored, dict) and stored.get("version") == VERSION:
            self._kinds = stored["kinds"]

    def get(self, kind: str, path: str, stat: FileStat) -> Any | None:
        """What is known about a file (absolute path); None where nothing is, or the file has changed."""
        self._used.add((kind, path))
        known = self._kinds.get(kind, {}).get(path)
        return known[2] if known is not None and known[0] == stat.size and known[1] == stat.mtime_ns else None

    def put(self, kind: str, path: str, stat: FileStat, value: Any) -> None:
        """Remember a JSON value about a file (absolute path)."""
        self._used.add((kind, path))
        self._kinds.setdefault(kind, {})[path] = [stat.size, stat.mtime_ns, value]
        self._changed = True

    def of_file(self, kind: str, path: Path, read: Callable[[Path], Any]) -> Any:
        """What `read` makes of a file, read anew only if the file has changed."""
        place, stat = str(path.resolve()), file_stat(path)
        value = self.get(kind, place, stat)
        if value is None:
            value = read(path)
            self.put(kind, place, stat, value)
        return value

    @property
    def unused(self) -> int:
        """Number of files that nobody has asked for since the cache was read."""
        return sum((kind, path) not in self._used for kind, known in self._kinds.items() for path in known)

    def prune(self) -> None:
        """Forget the files that nobody has asked for since the cache was read."""
        if self.unused:
            self._kinds = {
                kind: {path: value for path, value in known.items() if (kind, path) in self._used}
                for kind, known in self._kinds.items()
            }
            self._changed = True

    def save(self) -> None:
        """Write what is new; a reader sees the whole file or none."""
        if not self._changed:
            return
        text = json.dumps(
            {"version": VERSION, "kinds": self._kinds}, ensure_ascii=True, separators=(",", ":")
        )
        replace_text(self._path, text)
        self._changed = False
