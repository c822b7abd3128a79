"""What ranks know and tell of each other, without torchrun: threads stand in for processes, a dict for its store."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import HashStore

from irnet_pipe.errors import InputError, Interrupted, PeerLost
from irnet_pipe.runtime import lease, ranks
from irnet_pipe.runtime.events import Events
from irnet_pipe.runtime.lease import Device
from irnet_pipe.runtime.ranks import Ranks

ENVIRONMENT = {
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
}


@pytest.fixture
def pair(monkeypatch) -> list[Ranks]:
    """Both ranks of a training, on one node."""
    monkeypatch.setattr(ranks, "POLL_SECONDS", 0.001)
    store = HashStore()
    both = [Ranks(rank, 2, rank, 2) for rank in range(2)]
    for one in both:
        vars(one)["store"] = store
    return both


def test_ranks_are_those_of_torchrun():
    found = Ranks.of(ENVIRONMENT)
    assert (found.rank, found.size, found.local_rank, found.local_size, found.node) == (5, 8, 1, 4, 1)
    assert not found.leads and Ranks.of(ENVIRONMENT | {"RANK": "0"}).leads


def test_variables_of_others_make_no_ranks():
    del (others := dict(ENVIRONMENT))["TORCHELASTIC_RUN_ID"]
    assert Ranks.of(others) == Ranks() and Ranks().leads


def test_parts_make_the_batch():
    batch = list(range(12))
    for size in (1, 2, 3, 4):
        parts = [Ranks(rank, size).part(batch) for rank in range(size)]
        assert {len(part) for part in parts} == {12 // size}
        assert [item for part in parts for item in part] == batch


def test_all_ranks_of_a_node_see_the_devices_that_its_first_has_leased(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("IRNET_PIPE_LEASES", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(lease, "visible_devices", lambda *_, **__: [Device(n, n) for n in ("a", "b", "c")])
    with pair[0].leased("auto", label="job", events=Events()) as first:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "a,b"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "a,b,c")
        with pair[1].leased("auto", label="job", events=Events()) as second:
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "a,b"
    assert first == second == "auto"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError(["one", "two"]), 2, "error: one\nerror: two\n"),
        (Interrupted("saved"), 75, "stopped: saved\n"),
        (PeerLost("rank 0 has gone"), 1, "error: rank 0 has gone\n"),
    ],
)
def test_one_process_speaks_for_itself(error, code, text, capsys):
    assert Ranks().end(error) == code
    assert capsys.readouterr().err == text


def test_the_first_to_fail_speaks_for_all(pair, capsys):
    with ThreadPoolExecutor() as threads:
        lost = threads.submit(pair[0].end, PeerLost("rank 1 has gone"))
        assert pair[1].end(InputError("no such photo")) == lost.result() == 2
    assert capsys.readouterr().err == "error: no such photo\n"


def test_what_all_find_is_told_once(pair, capsys):
    with ThreadPoolExecutor() as threads:
        codes = list(threads.map(lambda one: one.end(Interrupted("saved")), pair))
    assert codes == [75, 75]
    assert capsys.readouterr().err == "stopped: saved\n"


def test_rank_0_ends_before_torchrun_hears_of_a_failure(pair):
    with ThreadPoolExecutor() as threads:
        failed = threads.submit(pair[1].end, InputError("no such photo"))
        while not pair[0].store.check(["first to end"]):
            pass
        assert not failed.done()
        pair[0].end(PeerLost("rank 1 has gone"))
        assert failed.result() == 2


def test_peer_that_was_killed_says_nothing(pair, capsys, monkeypatch):
    monkeypatch.setattr(ranks, "END_SECONDS", 0.01)
    assert pair[1].end(PeerLost("rank 0 has gone")) == 1
    assert capsys.readouterr().err == "error: rank 0 has gone\n"


def test_torchrun_that_has_gone(pair, capsys):
    class Gone:
        def compare_set(self, *_: str) -> bytes:
            raise RuntimeError("Connection reset by peer")

    vars(pair[1])["store"] = Gone()
    assert pair[1].end(InputError("no such photo")) == 2
    assert capsys.readouterr().err == "error: no such photo\n"
