import errno
import fcntl
import os
import threading

import pytest

from irnet_pipe.runtime.lock import NO_LOCKS, exclusive


def test_a_twin_waits_until_the_lock_is_free(tmp_path, capsys):
    order = []

    def twin():
        with exclusive(tmp_path / "work"):
            order.append("twin")

    thread = threading.Thread(target=twin)
    with exclusive(tmp_path / "work"):
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "twin"]
    assert "another process works on this artifact" in capsys.readouterr().err


def test_a_free_lock_is_taken_in_silence(tmp_path, capsys):
    for _ in range(2):
        with exclusive(tmp_path / "work"):
            pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", NO_LOCKS)
def test_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys, number):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive(tmp_path / "work"):
        pass
    warning = capsys.readouterr().err
    assert warning.startswith(f"{tmp_path / 'work'}: the file system has no locks ({os.strerror(number)})")
    assert "set runtime.results to a file system with locks" in warning


def test_other_faults_of_the_lock_are_raised(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"), exclusive(tmp_path / "work"):
        pass
