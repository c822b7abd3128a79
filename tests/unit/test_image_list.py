"""Lists of images: digests and files."""

import dataclasses
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irnet_pipe.data.image_list import (
    ImageEntry,
    canonical_json,
    digest_text,
    list_digest,
    read_list,
    write_list,
    write_once,
)
from irnet_pipe.errors import InputError

ENTRIES = [
    ImageEntry("b", "images/b.jpg", 20, 30, (0, 2), "1" * 16),
    ImageEntry("a/ä b", "images/a/ä b.png", 16, 16, (), "2" * 16),
    ImageEntry("c", "images/c.png", 9, 8, None, "3" * 16),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_plain_values_are_all_fields():
    for entry in ENTRIES:
        assert list(entry.plain.items()) == list(dataclasses.asdict(entry).items())


def test_round_trip_is_sorted(tmp_path):
    digest = write_list(tmp_path, ENTRIES)
    assert read_list(tmp_path / digest / "images.json") == sorted(ENTRIES, key=lambda entry: entry.image_id)
    assert digest == list_digest(reversed(ENTRIES))


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "x"},
        {"path": "x"},
        {"height": 1},
        {"width": 1},
        {"labels": ()},
        {"labels": None},
        {"digest": "0" * 16},
    ],
)
def test_every_field_enters_the_digest(change):
    other = [dataclasses.replace(ENTRIES[0], **change), *ENTRIES[1:]]
    assert list_digest(other) != list_digest(ENTRIES)


def test_list_is_written_once(tmp_path):
    path = tmp_path / write_list(tmp_path, ENTRIES) / "images.json"
    os.utime(path, (1, 1))
    write_list(tmp_path, ENTRIES)
    assert path.stat().st_mtime == 1
    assert [file.name for file in path.parent.iterdir()] == ["images.json"]


def test_missing_list(tmp_path):
    with pytest.raises(InputError, match=r"images\.json: image list is missing; `irnet-pipe index_dataset`"):
        read_list(tmp_path / "images.json")


def test_value_that_is_no_json_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_once(tmp_path / "x.json", float("nan"))
    assert not (tmp_path / "x.json").exists()


@given(st.dictionaries(st.text(), JSON, max_size=5))
@settings(deadline=None, max_examples=50)
def test_canonical_json_knows_no_order(value):
    text = canonical_json(value)
    assert canonical_json(dict(reversed(value.items()))) == text
    assert canonical_json(json.loads(text)) == text


def test_digests_never_change():
    """Recipes of every artifact rest on these."""
    assert digest_text("ä") == "33e6d73fee82904c"
    assert list_digest(ENTRIES[:1]) == "5e60bce8664e190f"
