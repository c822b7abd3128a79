import threading

from irnet_pipe.runtime.lock import exclusive


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
