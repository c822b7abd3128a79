"""Tars are opened whole or not at all."""

import io
import tarfile

import pytest

from irnet_pipe.artifacts.tar_files import open_tar
from irnet_pipe.errors import ArtifactError


def tar_of(path, blocks: int) -> None:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("member")
        member.size = blocks * tarfile.BLOCKSIZE
        archive.addfile(member, io.BytesIO(b"x" * member.size))


@pytest.mark.parametrize("blocks", range(tarfile.RECORDSIZE // tarfile.BLOCKSIZE + 1))
def test_whatever_fills_the_last_record(tmp_path, blocks):
    path = tmp_path / "a.tar"
    tar_of(path, blocks)
    with open_tar(path) as archive:
        assert archive.getnames() == ["member"]


@pytest.mark.parametrize("blocks", [0, 16, 17, 18])
def test_without_its_end_or_with_more_behind_it(tmp_path, blocks):
    path = tmp_path / "a.tar"
    tar_of(path, blocks)
    content = path.read_bytes()
    longest_end = 21 * tarfile.BLOCKSIZE
    for spoilt in (
        content[: (1 + blocks) * tarfile.BLOCKSIZE],
        content[: (2 + blocks) * tarfile.BLOCKSIZE],
        content + bytes(longest_end),
        content + b"x",
    ):
        path.write_bytes(spoilt)
        with pytest.raises(ArtifactError, match="damaged"), open_tar(path):
            pass
