import pytest
import torch
from torch import Tensor, nn

from irnet_pipe.models.affinitynet import AffinityNet
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.fused import for_inference
from irnet_pipe.models.irnet import IRNet
from irnet_pipe.runtime.device import autocast

CPU = torch.device("cpu")


def with_statistics(model: nn.Module) -> nn.Module:
    """The model in evaluation mode, no BatchNorm of which is an identity."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                values.uniform_(low, high, generator=generator)
    return model.eval()


def largest_error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.06)])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("network", [CamNet, IRNet, AffinityNet])
def test_every_map_is_that_of_the_network_as_it_was(network, backbone, precision, tolerance):
    torch.manual_seed(0)
    model = with_statistics(CamNet(backbone, 3) if network is CamNet else network(backbone))
    x = torch.randn(2, 3, 50, 67, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = model.backbone(x)
        with autocast(CPU, precision):
            fused = for_inference(model, CPU, precision)
            found = fused.backbone(x)
    assert not [module for module in fused.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [map_.shape for map_ in found] == [map_.shape for map_ in expected]
    assert max(map(largest_error, found, expected)) < tolerance
    assert {map_.dtype for map_ in found} == {torch.bfloat16 if precision == "bf16" else torch.float32}


def test_bf16_is_no_further_from_fp32_than_before():
    torch.manual_seed(0)
    model = with_statistics(CamNet("resnet50", 3))
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = model.backbone(x)[-1]
        with autocast(CPU, "bf16"):
            before = model.backbone(x)[-1]
            after = for_inference(model, CPU, "bf16").backbone(x)[-1]
    assert largest_error(after, expected) <= largest_error(before, expected)


def test_without_the_operators_the_network_stays_as_it_is(monkeypatch):
    model = CamNet("resnet18", 3).eval()
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert isinstance(for_inference(model, CPU, "fp32").backbone.bn1, nn.BatchNorm2d)
