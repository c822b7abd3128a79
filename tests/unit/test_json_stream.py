"""JSON element by element."""

import json

import pytest

from irnet_pipe.errors import InputError
from irnet_pipe.evaluation import json_stream
from irnet_pipe.evaluation.json_stream import read_element, read_elements

CONTENT = {
    "info": {"by": "ä€"},
    "number": 12345,
    "images": [{"id": i, "name": f'ä€ \\ " ] {i}'} for i in range(20)],
    "nothing": [],
    "numbers": [1, 22, -3.5e2],
    "flag": True,
}


@pytest.mark.parametrize("chunk", [1, 3, 7, 50, 1 << 20])
@pytest.mark.parametrize("form", [{}, {"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":")}])
def test_elements_and_their_places(chunk, form, tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTENT, **form), encoding="utf-8")
    found = list(read_elements(path))
    for key, value in CONTENT.items():
        expected = value if isinstance(value, list) else [value]
        assert [element.value for element in found if element.key == key] == expected
    with path.open("rb") as file:
        for element in found:
            assert read_element(file.fileno(), start=element.start, length=element.length) == element.value


def test_lists_have_no_key_and_files_may_begin_with_a_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(' [{"a": 1}, {"a": 2}]\n', encoding="utf-8-sig")
    assert [(element.key, element.value) for element in read_elements(path)] == [
        ("", {"a": 1}),
        ("", {"a": 2}),
    ]


@pytest.mark.parametrize("chunk", [2, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "byte 0: neither a list nor an object"),
        ("3", "byte 0: neither a list nor an object"),
        ("{", "byte 1: "),
        ('[{"a": 1}', "byte 9: it is cut off"),
        ('[{"a": 1},]', "byte 10: "),
        ('[{"a": 1} 2]', "byte 10: ',' is expected, found is '2'"),
        ('{"a" 1}', "byte 5: ':' is expected"),
        ("{1: 2}", "a key that is no string"),
        ("[1] 2", "byte 4: more text"),
        ('{"a": [1, 2}', "byte 11: ',' is expected"),
        ('[{"a": nul}]', "byte 7: Expecting value"),
    ],
)
def test_malformed(chunk, text, message, tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(read_elements(path))
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_text_that_is_not_utf_8(tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(b'["\xe4"]')
    with pytest.raises(InputError, match=r"bad\.json: .* byte 1 is not UTF-8"):
        list(read_elements(path))


def test_unclosed_elements_are_not_read_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 16)
    monkeypatch.setattr(json_stream, "LARGEST_VALUE", 64)
    path = tmp_path / "bad.json"
    path.write_text('[{"a": "' + "x" * 1000)
    with pytest.raises(InputError, match="byte 7") as caught:
        list(read_elements(path))
    window = caught.traceback[-1].locals["self"]
    assert window._stream.closed and len(window._text) < 500
