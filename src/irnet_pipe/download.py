"""Download of public data sets: resumable, checked, unpacked once."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from irnet_pipe.errors import InputError
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.unpacking import unpack_member

VOC12_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
VOC12_MD5 = "6cd6e144f989b92b3379bac3b3de84fd"
VOC12_FOLDER = Path("VOCdevkit") / "VOC2012"
BLOCK = 1 << 20
TIMEOUT = 60.0


def download_voc12(to: Path, *, url: str = VOC12_URL, md5: str = VOC12_MD5) -> Path:
    """Download and unpack PASCAL VOC 2012 (trainval, 2 GB); goes on where an earlier attempt stopped.

    Args:
        to: folder that gets VOCdevkit/VOC2012; the archive is deleted once it is unpacked.
        url: of the archive.
        md5: of the archive.

    Returns:
        The folder to be given as dataset.root.

    Raises:
        InputError: no network, an archive with another checksum, or no room on the disk.
    """
    folder, mark = to / VOC12_FOLDER, to / f".{md5}.complete"
    if mark.exists() and folder.is_dir():
        return folder
    archive = to / url.rsplit("/", 1)[-1]
    try:
        to.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            fetch(url, archive, md5=md5)
        elif (found := _md5(archive)) != md5:
            raise InputError(
                f"{archive}: md5 is {found}, expected {md5}; delete it and run the command again"
            )
        unpack(archive, to)
        mark.touch()
        archive.unlink()
    except OSError as error:
        raise InputError(
            f"{to}: cannot be written ({error}); free disk space or give another folder"
        ) from None
    if not folder.is_dir():
        raise InputError(f"{url}: holds no {VOC12_FOLDER}; give the URL of VOC 2012's archive")
    return folder


def fetch(url: str, path: Path, *, md5: str) -> None:
    """Download a file; what an interrupted attempt left in `<path>.part` is kept and continued.

    Args:
        url: of the file.
        path: gets the file once it is complete and its checksum agrees.
        md5: expected checksum.

    Raises:
        InputError: the server cannot be reached, or the checksum differs.
    """
    part = path.with_name(f"{path.name}.part")
    _fetch_rest(url, part)
    found = _md5(part)
    if found != md5:
        size = part.stat().st_size
        part.unlink()
        raise InputError(
            f"{url}: md5 of the {size} bytes received is {found}, expected {md5}; the file was deleted: "
            "run the command again"
        )
    part.replace(path)


def _fetch_rest(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        # The part is all there is; the checksum tells.
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        raise InputError(f"{url}: the server answers {error.code} {error.reason}; give another URL") from None
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"{url}: cannot be reached ({getattr(error, 'reason', error)}); check the network and run the "
            f"command again, or download the file elsewhere and put it at {part.with_suffix('')}"
        ) from None
    with response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0
        total = have + int(response.headers.get("Content-Length") or 0)
        progress = Progress(total=total >> 20, title=part.stem, unit="MiB")
        progress.resume_at(have >> 20)
        with part.open("ab" if have else "wb") as file:
            while block := _read(response, url, have):
                file.write(block)
                have += len(block)
                progress.update(have >> 20)
    if have < total:
        raise _broken_off(url, have, "the server closed the connection")


def _read(response: http.client.HTTPResponse, url: str, have: int) -> bytes:
    try:
        return response.read(BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off(url, have, error) from None


def _broken_off(url: str, have: int, reason: object) -> InputError:
    return InputError(
        f"{url}: broken off after {have} bytes ({reason}); run the command again, which goes on there"
    )


def unpack(archive: Path, to: Path) -> None:
    """Unpack a tar file; members that would lie outside of `to` are refused.

    Raises:
        InputError: not a tar file, or one with such members.
    """
    progress = Progress(total=archive.stat().st_size >> 20, title=f"unpacking {archive.name}", unit="MiB")
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                unpack_member(tar, member, to)
                progress.update((member.offset_data + member.size) >> 20)
    except tarfile.TarError as error:
        raise InputError(
            f"{archive}: cannot be unpacked ({error}); delete it and run the command again"
        ) from None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
