"""Members of a tar written below a folder. Python's own filters for that are missing in 3.11.0 to 3.11.3."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath


def unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write a file or make a folder; times and permissions are those of new files.

    Args:
        archive: the open tar.
        member: of the tar.
        folder: what it may not leave.

    Raises:
        tarfile.TarError: a link or a device, a path that leaves the folder, or content that is cut.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise tarfile.TarError(f"member {member.name!r} would lie outside of the folder")
    path = folder / name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        raise tarfile.TarError(f"member {member.name!r} is neither a file nor a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
