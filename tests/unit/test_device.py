import pytest
import torch

from irnet_pipe.errors import InputError
from irnet_pipe.runtime.device import autocast, use_device


def test_auto_takes_cuda_where_there_is_any(monkeypatch):
    for available, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert use_device("auto").type == kind


def test_each_rank_takes_the_device_of_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert use_device("auto", number=1) == use_device("cuda", number=1) == torch.device("cuda", 1)
    assert use_device("cpu", number=1) == torch.device("cpu")
    with pytest.raises(InputError, match=r"'cuda:2', but torch sees 2 CUDA devices"):
        use_device("auto", number=2)


def test_named_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert use_device("cpu") == torch.device("cpu")
    assert use_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:2", 2)])
def test_absent_cuda_device(monkeypatch, name, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(InputError, match=rf"'{name}', but torch sees {count} CUDA devices; set auto or cpu"):
        use_device(name)


def test_no_device():
    with pytest.raises(InputError, match="'gpu' is no device"):
        use_device("gpu")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_networks_compute_in_the_precision(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert torch.nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype


def test_half_precision_needs_cuda():
    with pytest.raises(InputError, match="fp16 needs a CUDA device"):
        autocast(torch.device("cpu"), "fp16")
