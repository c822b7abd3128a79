import urllib.error
import urllib.request

import pytest
import torch
import torchvision
from torch import nn

from irnet_pipe.errors import InputError
from irnet_pipe.models.backbone import BACKBONES, Backbone, pretrained_state


def small_values(backbone):
    """A state dict of torchvision's layout, with fc."""
    torch.manual_seed(0)
    return torchvision.models.get_model(backbone, weights=None).state_dict()


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 50)])
def test_feature_maps_have_their_strides_and_channels(name, height, width):
    with torch.device("meta"):
        backbone = Backbone(name)
        features = backbone(torch.empty(2, 3, height, width))
    expected = [
        (2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(backbone.channels, (4, 4, 8, 16, 16), strict=True)
    ]
    assert [tuple(feature.shape) for feature in features] == expected


def test_layer4_keeps_stride_1_without_dilation_and_the_rest_is_torchvision():
    ours, theirs = Backbone("resnet50"), torchvision.models.resnet50(weights=None)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    convolutions = [module for module in ours.layer4.modules() if isinstance(module, nn.Conv2d)]
    assert (
        {module.stride for module in convolutions} == {module.dilation for module in convolutions} == {(1, 1)}
    )
    ours.eval()
    theirs.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        for layer, feature in zip(("layer1", "layer2", "layer3"), ours(x)[1:], strict=False):
            expected = getattr(theirs, layer)(expected)
            torch.testing.assert_close(feature, expected)


@pytest.mark.parametrize("frozen_stages", [0, 1, 3, 5])
def test_frozen_stages_build_no_graph_and_keep_their_statistics(frozen_stages):
    torch.manual_seed(0)
    backbone = Backbone("resnet18", frozen_stages=frozen_stages, batch_norm="batch").train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    features = backbone(torch.randn(2, 3, 48, 48))
    assert [feature.requires_grad for feature in features] == [False] * frozen_stages + [True] * (
        5 - frozen_stages
    )
    prefixes = [("conv1", "bn1"), "layer1", "layer2", "layer3", "layer4"]
    for index, prefix in enumerate(prefixes):
        changed = {
            key
            for key, value in backbone.state_dict().items()
            if key.startswith(prefix) and not torch.equal(value, before[key])
        }
        assert bool(changed) == (index >= frozen_stages)
        assert all("running" in key or "num_batches" in key for key in changed)
        trainable = {p.requires_grad for key, p in backbone.named_parameters() if key.startswith(prefix)}
        assert trainable == {index >= frozen_stages}


def test_running_statistics_are_used_in_training():
    torch.manual_seed(0)
    backbone = Backbone("resnet18")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(backbone.train()(x)[-1], backbone.eval()(x)[-1], rtol=0, atol=0)


def test_gathered_statistics_are_used_in_evaluation():
    torch.manual_seed(0)
    backbone = Backbone("resnet18", batch_norm="batch")
    x = torch.randn(2, 3, 32, 32)
    for _ in range(80):
        in_training = backbone.train()(x)[0]
    in_evaluation = backbone.eval()(x)[0]
    assert (in_evaluation - in_training).abs().max() < 0.05 * in_training.max()
    torch.testing.assert_close(
        backbone.bn1.running_mean, backbone.conv1(x).mean((0, 2, 3)), rtol=0.05, atol=1e-3
    )


@pytest.mark.parametrize("with_fc", [True, False])
def test_path_of_a_half_precision_state_dict(tmp_path, with_fc):
    state = {
        key: value.half() for key, value in small_values("resnet18").items() if value.is_floating_point()
    }
    if not with_fc:
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    backbone = Backbone("resnet18")
    backbone.load_state_dict(pretrained_state("resnet18", str(path)))
    assert backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"].float())


def test_none_has_no_state():
    assert pretrained_state("resnet18", "none") is None


@pytest.mark.parametrize(
    ("found", "expected", "mismatch"),
    [
        (
            "resnet18",
            "resnet50",
            r"key layer1.0.conv1.weight, expected \(64, 64, 1, 1\), found \(64, 64, 3, 3\)",
        ),
        ("resnet34", "resnet18", r"key layer1.2.conv1.weight, expected no such key, found \(64, 64, 3, 3\)"),
        ("resnet18", "resnet34", r"key layer1.2.conv1.weight, expected \(64, 64, 3, 3\), found no such key"),
    ],
)
def test_another_architecture_is_named(tmp_path, found, expected, mismatch):
    path = tmp_path / "weights.pth"
    torch.save(small_values(found), path)
    with pytest.raises(
        InputError, match=f"weights.pth: not weights of {expected}: {mismatch}; .* to {found}"
    ):
        pretrained_state(expected, str(path))


def test_a_state_dict_of_no_resnet(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"features.0.weight": torch.zeros(3)}, path)
    with pytest.raises(
        InputError, match=r"key conv1.weight, expected .*, found no such key; give a state dict of"
    ):
        pretrained_state("resnet18", str(path))


def test_neither_a_name_nor_a_file():
    with pytest.raises(InputError, match=r"IMAGENET1K_V3: neither .* \(IMAGENET1K_V1, DEFAULT\)"):
        pretrained_state("resnet18", "IMAGENET1K_V3")


def test_torchvision_name_comes_from_its_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry = torchvision.models.get_model_weights("resnet18").DEFAULT
    cached = tmp_path / "hub" / "checkpoints" / entry.url.rsplit("/", 1)[-1]
    cached.parent.mkdir(parents=True)
    state = small_values("resnet18")
    torch.save(state, cached)
    assert torch.equal(pretrained_state("resnet18", "DEFAULT")["conv1.weight"], state["conv1.weight"])


def test_unreachable_network_asks_for_a_path(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(
        InputError, match=r"IMAGENET1K_V1: cannot download https://.*no route to host.*give its path"
    ):
        pretrained_state("resnet18", "IMAGENET1K_V1")
