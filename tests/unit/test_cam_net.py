import pytest
import torch

from irnet_pipe.models.cam_net import CamNet, multi_scale_class_maps


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CamNet("resnet18", 5).eval()


def test_logits_are_the_mean_of_the_maps_before_relu(model):
    x = torch.randn(2, 3, 48, 40)
    maps = torch.einsum("kc,nchw->nkhw", model.classifier.weight.flatten(1), model.backbone(x)[-1])
    torch.testing.assert_close(model(x), maps.mean((2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.class_maps(x), maps.clamp(min=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("freeze", "changing"),
    [
        ("layer2", {"layer3", "layer4"}),
        ("stem", {"layer1", "layer2", "layer3", "layer4"}),
        ("none", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_a_step_changes_what_is_not_frozen(freeze, changing):
    torch.manual_seed(0)
    model = CamNet("resnet18", 3, freeze=freeze).train()
    groups = model.parameter_groups()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([{"params": groups["backbone"]}, {"params": groups["classifier"]}], lr=1.0)
    model(torch.randn(2, 3, 48, 48)).square().sum().backward()
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.split(".")[1] for key in changed if key.startswith("backbone.")} == changing
    assert {key for key in changed if not key.startswith("backbone.")} == {"classifier.weight"}
    assert not any("running" in key for key in changed)


def test_batch_normalisation_affine_is_trained_beyond_the_frozen_stages():
    model = CamNet("resnet18", 3)
    names = {id(p): name for name, p in model.named_parameters()}
    trained = {names[id(p)] for p in model.parameter_groups()["backbone"]}
    assert "backbone.layer3.0.bn1.weight" in trained
    assert not any(name.startswith(("backbone.bn1", "backbone.conv1", "backbone.layer2")) for name in trained)


def test_gathered_statistics_are_part_of_the_state():
    torch.manual_seed(0)
    model = CamNet("resnet18", 3, freeze="none", batch_norm="batch").train()
    with torch.no_grad():
        model(torch.randn(4, 3, 48, 48))
    copy = CamNet("resnet18", 3).eval()
    copy.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(copy(x), model.eval()(x), rtol=0, atol=0)


def test_multi_scale_maps_merge_the_mirrored_photo(model):
    photos = [torch.randn(3, 33, 50), torch.randn(3, 64, 96)]
    merged = multi_scale_class_maps(model, photos, classes=[3, 0])
    assert [tuple(maps.shape) for maps in merged] == [(2, 3, 4), (2, 4, 6)]
    with torch.no_grad():
        for photo, maps in zip(photos, merged, strict=True):
            plain, mirrored = model.class_maps(photo[None])[0], model.class_maps(photo.flip(-1)[None])[0]
            torch.testing.assert_close(maps, (plain + mirrored.flip(-1))[[3, 0]], rtol=1e-4, atol=1e-5)


def test_multi_scale_maps_of_a_mirrored_photo_are_mirrored(model):
    photo = torch.randn(3, 48, 64)
    (maps,) = multi_scale_class_maps(model, [photo], classes=[1])
    (mirrored,) = multi_scale_class_maps(model, [photo.flip(-1)], classes=[1])
    torch.testing.assert_close(mirrored, maps.flip(-1))


def test_no_class_gives_empty_maps(model):
    (maps,) = multi_scale_class_maps(model, [torch.randn(3, 32, 48)], classes=[])
    assert maps.shape == (0, 2, 3)
