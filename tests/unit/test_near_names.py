from __future__ import annotations

import pytest

from irnet_pipe.near_names import nearest, same_but_for_case


@pytest.mark.parametrize(
    ("name", "meant"),
    [("statsu", "status"), ("STATUS", "status"), ("train-cam", "train_cam"), ("tables", None), ("", None)],
)
def test_nearest(name, meant):
    assert nearest(name, ["status", "train_cam", "gc"]) == meant


def test_likeness_that_is_asked_for():
    assert nearest("car", ["cat"]) == "cat"
    assert nearest("car", ["cat"], likeness=0.8) is None
    assert nearest("herron", ["heron", "tern"], likeness=0.8) == "heron"


def test_groups_that_differ_in_case_alone():
    assert same_but_for_case(["b", "A", "c", "a", "straße", "STRASSE"]) == [["A", "a"], ["straße", "STRASSE"]]
    assert same_but_for_case(["a", "b", "a"]) == [["a", "a"]]
