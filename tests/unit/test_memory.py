"""Devices without enough memory, played on the CPU."""

import ctypes
import resource
import sys
from pathlib import Path

import pytest
import torch

from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet, multi_scale_class_maps
from irnet_pipe.models.irnet import IRNet, boundary_and_displacement
from irnet_pipe.runtime.memory import explain_out_of_memory, give_back_freed, halving, too_large_photo


def room_for(n: int, function, sizes: list[int] | None = None):
    """The function on a device that holds batches of n."""

    def limited(batch: torch.Tensor):
        if sizes is not None:
            sizes.append(len(batch))
        if len(batch) > n:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return function(batch)

    return limited


def double(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return 2 * batch, batch[:, :1]


def test_with_room_the_batch_is_whole(capsys):
    sizes: list[int] = []
    batch = torch.randn(4, 3)
    doubled, first = halving(batch, room_for(4, double, sizes))
    assert torch.equal(doubled, 2 * batch) and torch.equal(first, batch[:, :1])
    assert sizes == [4]
    assert capsys.readouterr().err == ""


def test_without_room_it_is_halved_until_it_fits(capsys):
    sizes: list[int] = []
    batch = torch.randn(5, 3)
    doubled, first = halving(batch, room_for(2, double, sizes))
    assert torch.equal(doubled, 2 * batch) and torch.equal(first, batch[:, :1])
    assert sizes == [5, 3, 2, 1, 2]
    assert capsys.readouterr().err.splitlines() == [
        "warning: out of memory on cpu with a batch of 5×3; halving it",
        "warning: out of memory on cpu with a batch of 3×3; halving it",
    ]


def test_a_single_row_that_does_not_fit():
    with pytest.raises(torch.OutOfMemoryError):
        halving(torch.randn(2, 3), room_for(0, double))


def test_the_failed_attempt_is_forgotten_before_the_next():
    """Its traceback would hold the tensors that fill the device."""

    def function(batch: torch.Tensor) -> tuple[torch.Tensor]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert sys.exc_info() == (None, None, None)
        return (batch,)

    halving(torch.randn(2, 3), function)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_class_maps_of_photo_and_mirror_one_after_the_other(capsys):
    torch.manual_seed(0)
    model = CamNet("resnet18", 3).eval()
    photos = [torch.randn(3, 64, 96), torch.randn(3, 33, 50)]
    expected = multi_scale_class_maps(model, photos, classes=[2, 0])
    model.class_maps = room_for(1, model.class_maps)
    found = multi_scale_class_maps(model, photos, classes=[2, 0])
    assert all(close(maps, right) for maps, right in zip(found, expected, strict=True))
    assert capsys.readouterr().err.count("with a batch of 2×3×") == 2


def test_boundary_of_photo_and_mirror_one_after_the_other(capsys):
    torch.manual_seed(0)
    model, photo = IRNet("resnet18").eval(), torch.randn(3, 40, 57)
    boundary, displacement = boundary_and_displacement(model, photo, canvas=64)
    model.forward = room_for(1, model.forward)
    found = boundary_and_displacement(model, photo, canvas=64)
    assert close(found[0], boundary) and close(found[1], displacement)
    assert "with a batch of 2×3×64×64; halving it" in capsys.readouterr().err


def test_lack_of_memory_becomes_a_message(tmp_path):
    message = too_large_photo(tmp_path / "a.jpg", size=(3000, 4000), keys="dataset.working_long_side")
    with pytest.raises(InputError) as caught, explain_out_of_memory(message):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    assert caught.value.problems == [
        f"{tmp_path}/a.jpg: the device does not have the memory for one image of 3000×4000 pixels; lower "
        "dataset.working_long_side, or set runtime.device: cpu; `nvidia-smi` lists other processes on the device"
    ]


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory("memory"):
        raise RuntimeError("shapes do not match")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_freed_memory_is_given_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()

    blocks = [libc.malloc(100_000) for _ in range(1000)]  # small enough to lie on the heap
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    last = libc.malloc(100_000)
    for block in blocks:
        libc.free(block)
    full = resident()
    give_back_freed()
    libc.free(last)
    assert full - resident() > 80_000_000


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back_freed()
