"""HDF5 by h5py's low level, for what its high level does slowly or not at all."""

from __future__ import annotations

from typing import Any

import h5py

LINKS = {h5py.h5l.TYPE_SOFT: "SoftLink", h5py.h5l.TYPE_EXTERNAL: "ExternalLink"}
CACHE_BYTES = 2**16
"""As HDF5 counts them: small entries take some ten times as much of memory, by a measurement."""


class LeadsOutsideError(Exception):
    """A link on the way to an object may lead out of the file."""


def bound_cache(file: h5py.File) -> None:
    """Bound what HDF5 keeps of names and places, by itself without end in practice: a stage may open many shards."""
    cache = file.id.get_mdc_config()
    cache.set_initial_size, cache.initial_size = True, CACHE_BYTES
    cache.min_size = cache.max_size = CACHE_BYTES
    file.id.set_mdc_config(cache)


def own_object(file: h5py.File, key: str) -> Any:
    """The object of a key, every step to which is a hard link; `Group.get` would open each group on the way.

    Raises:
        KeyError: there is none.
        LeadsOutsideError: a step is a link of another kind.
    """
    path, links = b"", file.id.links
    for name in key.split("/"):
        path += b"/" + name.encode()
        if not links.exists(path):
            raise KeyError(name)
        link = links.get_info(path).type
        if link != h5py.h5l.TYPE_HARD:
            raise LeadsOutsideError(f"{name!r} is an {LINKS.get(link, 'unknown kind of link')}")
    return file[path]
