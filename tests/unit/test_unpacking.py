"""Members of tars below a folder."""

import io
import os
import tarfile

import pytest

from irnet_pipe.unpacking import unpack_member


def unpack(path, folder):
    with tarfile.open(path) as archive:
        for member in archive:
            unpack_member(archive, member, folder)


def write(path, *members):
    with tarfile.open(path, "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def member(name, kind=tarfile.REGTYPE, **facts):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def test_files_and_folders(tmp_path):
    folder, content = tmp_path / "to", os.urandom(300_000)
    write(
        tmp_path / "a.tar",
        (member("empty", tarfile.DIRTYPE), b""),
        (member("a/ä b.txt", mode=0o000, uid=12345), content),
        (member("a/none"), b""),
    )
    unpack(tmp_path / "a.tar", folder)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {
        "empty",
        "a",
        "a/ä b.txt",
        "a/none",
    }
    assert (folder / "a/ä b.txt").read_bytes() == content
    assert (folder / "a/ä b.txt").stat().st_mode & 0o600 == 0o600


def test_a_file_is_replaced(tmp_path):
    (tmp_path / "name").write_bytes(b"older and longer")
    write(tmp_path / "a.tar", (member("name"), b"new"))
    unpack(tmp_path / "a.tar", tmp_path)
    assert (tmp_path / "name").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["/escaped", "../escaped", "a/../../escaped"])
def test_nothing_lies_outside(tmp_path, name):
    write(tmp_path / "a.tar", (member(name), b"evil"))
    with pytest.raises(tarfile.TarError, match="outside of the folder"):
        unpack(tmp_path / "a.tar", tmp_path / "to")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    write(tmp_path / "a.tar", (member("x", kind, linkname="../elsewhere"), b""))
    with pytest.raises(tarfile.TarError, match="'x' is neither a file nor a folder"):
        unpack(tmp_path / "a.tar", tmp_path / "to")


def test_content_that_is_cut(tmp_path):
    write(tmp_path / "a.tar", (member("x"), bytes(100_000)))
    os.truncate(tmp_path / "a.tar", 50_000)
    with pytest.raises(tarfile.TarError, match="unexpected end"):
        unpack(tmp_path / "a.tar", tmp_path / "to")
