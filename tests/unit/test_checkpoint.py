import pytest
import torch

from irnet_pipe.errors import ArtifactError
from irnet_pipe.training.checkpoint import Checkpoints


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "work", recipe="a" * 16)


def save(checkpoints: Checkpoints, *steps: int) -> list[str]:
    for step in steps:
        checkpoints.save({"weight": torch.full((64, 64), float(step))}, step=step)
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_nothing_saved_is_nothing_to_go_on_from(checkpoints):
    assert checkpoints.newest() is None


def test_the_last_two_are_kept(checkpoints):
    assert save(checkpoints, 8, 9, 10) == ["checkpoint-000000009.pth", "checkpoint-000000010.pth"]
    step, state = checkpoints.newest()
    assert step == 10
    assert state["weight"].eq(10).all()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_the_one_before_a_damaged_checkpoint_is_used(checkpoints, capsys, damage):
    save(checkpoints, 3, 4)
    path = checkpoints.folder / "checkpoint-000000004.pth"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[: len(content) // 2], "flipped": content, "empty": b""}[damage])
    step, state = checkpoints.newest()
    assert step == 3
    assert state["weight"].eq(3).all()
    assert "checkpoint-000000004.pth: damaged" in capsys.readouterr().err


def test_checkpoint_of_another_recipe_is_refused(checkpoints):
    save(checkpoints, 1)
    with pytest.raises(ArtifactError, match=r"checkpoint-000000001\.pth: checkpoint of recipe a+, not b+"):
        Checkpoints(checkpoints.folder, recipe="b" * 16).newest()


def test_interrupted_save_leaves_the_checkpoints_before(checkpoints, monkeypatch):
    save(checkpoints, 1)

    def write_half(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save({}, step=2)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["checkpoint-000000001.pth"]


def test_clear_removes_checkpoints_and_what_a_kill_has_left(checkpoints):
    save(checkpoints, 1, 2)
    (checkpoints.folder / ".checkpoint-000000003.pth.123.tmp").write_bytes(b"half")
    (checkpoints.folder / "lock").touch()
    checkpoints.clear()
    assert [path.name for path in checkpoints.folder.iterdir()] == ["lock"]
