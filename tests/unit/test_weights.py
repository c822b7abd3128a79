import os

import pytest
import torch
from torch import nn

from irnet_pipe.artifacts.weights import (
    first_mismatch,
    load_weights,
    read_state_dict,
    read_weights,
    write_weights,
)
from irnet_pipe.errors import ArtifactError, InputError

HEADER = {"kind": "cam", "backbone": "resnet18", "classes": ["cat", "dog"]}
HISTORY = {"loss": [0.7, 0.1], "lr": [0.1, 0.05]}


def state():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)).state_dict()


def write(path, **changes):
    write_weights(path, **{"header": HEADER, "state_dict": state(), "history": HISTORY, **changes})


def test_round_trip(tmp_path):
    write(tmp_path / "a.pth")
    weights = read_weights(tmp_path / "a.pth", kind="cam")
    assert weights.header == {**HEADER, "format": "irnet_pipe.weights", "format-version": 1}
    assert weights.history == HISTORY
    assert first_mismatch(state(), weights.state_dict) is None
    assert all(torch.equal(weights.state_dict[key], value) for key, value in state().items())


def test_equal_content_gives_equal_bytes(tmp_path):
    write(tmp_path / "first.pth")
    kind = "".join(["c", "am"])
    reordered = dict(reversed(list(state().items())))
    reordered["0.weight"] = reordered["0.weight"].to(memory_format=torch.channels_last).requires_grad_()
    header = {"classes": ["cat", "dog"], "backbone": HEADER["backbone"], "kind": kind}
    write(
        tmp_path / "other name.pth",
        header=header,
        state_dict=reordered,
        history=dict(reversed(HISTORY.items())),
    )
    assert (tmp_path / "first.pth").read_bytes() == (tmp_path / "other name.pth").read_bytes()


def test_shared_objects_do_not_change_the_bytes(tmp_path):
    one, curve = torch.ones(2), [1.0]
    shared = {"header": {"kind": "cam", "a": curve, "b": curve}, "state_dict": {"a": one, "b": one}}
    write(tmp_path / "shared.pth", **shared)
    own = {
        "header": {"kind": "cam", "a": [1.0], "b": [1.0]},
        "state_dict": {"a": torch.ones(2), "b": torch.ones(4)[:2]},
    }
    write(tmp_path / "own.pth", **own)
    assert (tmp_path / "shared.pth").read_bytes() == (tmp_path / "own.pth").read_bytes()


def test_only_the_file_is_left(tmp_path):
    write(tmp_path / "a.pth")
    write(tmp_path / "a.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.parametrize("step", ["torch.save", "torch.load", "os.fsync"])
def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, step):
    write(tmp_path / "a.pth")
    before = (tmp_path / "a.pth").read_bytes()

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(step, fail)
    with pytest.raises(MemoryError):
        write(tmp_path / "a.pth", history={})
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert (tmp_path / "a.pth").read_bytes() == before


def test_nothing_follows_the_rename(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace", "rename"):
        original = getattr(os, name)
        monkeypatch.setattr(
            os,
            name,
            lambda *a, _name=name, _original=original, **k: (calls.append(_name), _original(*a, **k))[1],
        )
    write(tmp_path / "a.pth")
    assert calls == ["fsync", "replace"]


def test_unknown_kind_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="kind 'unet'"):
        write(tmp_path / "a.pth", header={"kind": "unet"})


def test_another_kind(tmp_path):
    write(tmp_path / "a.pth")
    with pytest.raises(ArtifactError, match=r"a.pth: key header/kind, found 'cam', expected 'irnet'; give"):
        read_weights(tmp_path / "a.pth", kind="irnet")


def tamper(path, **header):
    write(path)
    content = torch.load(path, weights_only=True)
    content["header"].update(header)
    torch.save(content, path)


@pytest.mark.parametrize("version", [2, None])
def test_newer_version_is_refused(tmp_path, version):
    tamper(tmp_path / "a.pth", **{"format-version": version})
    with pytest.raises(
        ArtifactError, match=f"header/format-version, found {version}, expected at most 1; update"
    ):
        read_weights(tmp_path / "a.pth", kind="cam")


def test_a_foreign_file(tmp_path):
    torch.save(state(), tmp_path / "a.pth")
    with pytest.raises(
        ArtifactError, match=r"key header/format, expected 'irnet_pipe.weights'.*import-weights"
    ):
        read_weights(tmp_path / "a.pth", kind="cam")


@pytest.mark.parametrize("key", ["state_dict", "history"])
def test_a_missing_part(tmp_path, key):
    write(tmp_path / "a.pth")
    content = torch.load(tmp_path / "a.pth", weights_only=True)
    del content[key]
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ArtifactError, match=f"key {key}, expected a dict, found none"):
        read_weights(tmp_path / "a.pth", kind="cam")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_file(tmp_path, share):
    write(tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtifactError, match=r"a.pth: cannot be read .* damaged"):
        read_weights(tmp_path / "a.pth", kind="cam")


def test_a_flipped_bit_in_a_tensor(tmp_path):
    write(tmp_path / "a.pth")
    tensor = torch.load(tmp_path / "a.pth", weights_only=True)["state_dict"].popitem()[1]
    content = bytearray((tmp_path / "a.pth").read_bytes())
    content[content.index(tensor.numpy().tobytes())] ^= 1
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a.pth: cannot be read .*checksum of"):
        read_weights(tmp_path / "a.pth", kind="cam")


def test_missing_file(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        read_weights(tmp_path / "a.pth", kind="cam")


def test_text_and_pickled_objects_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("not weights")
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "module.pth")
    for name in ("text.pth", "module.pth"):
        with pytest.raises(ArtifactError, match=f"{name}: cannot be read"):
            read_state_dict(tmp_path / name)


def test_state_dict_must_hold_tensors_alone(tmp_path):
    torch.save({"epoch": 3, "state_dict": state()}, tmp_path / "a.pth")
    with pytest.raises(ArtifactError, match="key epoch, expected a tensor, found int"):
        read_state_dict(tmp_path / "a.pth")
    torch.save([torch.ones(1)], tmp_path / "a.pth")
    with pytest.raises(ArtifactError, match="expected a dict, found list"):
        read_state_dict(tmp_path / "a.pth")


def test_first_mismatch_ignores_absent_counters():
    counted = state()
    without = {key: value for key, value in counted.items() if "num_batches" not in key}
    assert first_mismatch(counted, without) is None
    del without["1.running_var"]
    assert first_mismatch(counted, without) == "key 1.running_var, expected (4,), found no such key"


def test_load_weights_names_file_key_and_shapes(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.BatchNorm2d(5))
    with pytest.raises(
        InputError, match=r"a.pth: .* key 0.weight, expected \(5, 3, 1, 1\), found \(4, 3, 1, 1\)"
    ):
        load_weights(network, state(), source=tmp_path / "a.pth")


def test_load_weights_copies_the_values(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
    load_weights(network, state(), source=tmp_path / "a.pth")
    assert torch.equal(network[0].weight, state()["0.weight"])
