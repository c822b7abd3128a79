from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from irnet_pipe.download import download_voc12
from irnet_pipe.errors import InputError

PHOTO = bytes(range(256)) * 400


class Server(ThreadingHTTPServer):
    """Serves one archive, with byte ranges; can break off, ignore ranges or answer with an error."""

    archive = b""
    break_after: int | None = None
    honours_range = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/voc.tar"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = (
            int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.honours_range else 0
        )
        body = self.server.archive[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, *_: object) -> None:
        pass


def tar(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.archive = tar({"VOCdevkit/VOC2012/JPEGImages/a.jpg": PHOTO})
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def download(server: Server, to: Path) -> Path:
    return download_voc12(to, url=server.url, md5=md5(server.archive))


def test_it_is_fetched_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    to = tmp_path / "new" / "data"
    for _ in range(2):
        root = download(server, to)
        assert root == to / "VOCdevkit" / "VOC2012"
        assert (root / "JPEGImages" / "a.jpg").read_bytes() == PHOTO
    assert server.ranges == [None]
    assert not list(to.glob("*.tar*"))


def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.break_after = 30_000
    with pytest.raises(InputError, match=r"broken off after 30000 bytes .*; run the command again"):
        download(server, tmp_path)
    server.break_after = None
    root = download(server, tmp_path)
    assert server.ranges == [None, "bytes=30000-"]
    assert (root / "JPEGImages" / "a.jpg").read_bytes() == PHOTO


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "voc.tar.part").write_bytes(b"older")
    server.honours_range = False
    assert (download(server, tmp_path) / "JPEGImages" / "a.jpg").read_bytes() == PHOTO


def test_a_part_that_is_all_there_is_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "voc.tar.part").write_bytes(server.archive)
    assert (download(server, tmp_path) / "JPEGImages" / "a.jpg").read_bytes() == PHOTO


def test_another_checksum_is_refused_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "voc.tar.part").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match=rf"expected {md5(server.archive)}; the file was deleted"):
        download(server, tmp_path)
    assert list(tmp_path.iterdir()) == []
    download(server, tmp_path)


def test_an_archive_from_elsewhere_is_checked_and_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "voc.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"voc\.tar: md5 is .*; delete it"):
        download(server, tmp_path)
    (tmp_path / "voc.tar").write_bytes(server.archive)
    download(server, tmp_path)
    assert server.ranges == []


def test_without_network(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match=r"cannot be reached .*check the network .*put it at .*voc\.tar$"):
        download_voc12(tmp_path, url=url, md5="0")


def test_an_answer_of_the_server_is_told(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(InputError, match="the server answers 404 Not Found"):
        download(server, tmp_path)


@pytest.mark.parametrize(
    "name", ["../escaped.txt", "/tmp/irnet_pipe_escaped.txt", "VOCdevkit/../../escaped.txt"]
)
def test_no_path_escapes(server: Server, tmp_path: Path, name: str) -> None:
    to = tmp_path / "data"
    server.archive = tar({"VOCdevkit/VOC2012/a": b"", name: b"evil"})
    with pytest.raises(InputError, match=r"cannot be unpacked .*outside of the folder"):
        download(server, to)
    assert not (tmp_path / "escaped.txt").exists()
    assert not Path(name).exists() or not name.startswith("/")


@pytest.mark.parametrize("content", [b"no tar file", tar({"other/a": b""})])
def test_what_is_no_archive_of_voc(server: Server, tmp_path: Path, content: bytes) -> None:
    server.archive = content
    with pytest.raises(InputError, match=r"(cannot be unpacked|holds no VOCdevkit)"):
        download(server, tmp_path)


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        download(server, tmp_path / "file" / "data")
