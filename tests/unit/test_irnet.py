import pytest
import torch
import torch.nn.functional as F

from irnet_pipe.models.irnet import IRNet, boundary_and_displacement


@pytest.fixture
def model():
    torch.manual_seed(0)
    return IRNet("resnet18").eval()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (17, 101)])
def test_output_is_at_stride_4(backbone, height, width):
    with torch.device("meta"):
        boundary, displacement = IRNet(backbone)(torch.empty(2, 3, height, width))
    h, w = (height - 1) // 4 + 1, (width - 1) // 4 + 1
    assert boundary.shape == (2, 1, h, w)
    assert displacement.shape == (2, 2, h, w)


def test_only_the_heads_are_trained():
    torch.manual_seed(0)
    model = IRNet("resnet18").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    groups = model.parameter_groups()
    optimizer = torch.optim.SGD([*groups["boundary"], *groups["displacement"]], lr=1.0)
    boundary, displacement = model(torch.randn(2, 3, 48, 48))
    (boundary.square().sum() + displacement.square().sum()).backward()
    optimizer.step()
    unchanged = {key for key, value in model.state_dict().items() if torch.equal(value, before[key])}
    assert unchanged == {key for key in before if key.startswith("backbone.")}
    assert not any(module.training for module in model.backbone.modules() if module is not model.backbone)


def test_each_group_reaches_its_own_output(model):
    boundary, displacement = model(torch.randn(1, 3, 32, 32))
    groups = model.parameter_groups()
    for output, own, other in (
        (boundary, "boundary", "displacement"),
        (displacement, "displacement", "boundary"),
    ):
        reached = torch.autograd.grad(output.square().sum(), groups[own], retain_graph=True)
        assert all(gradient.any() for gradient in reached)
        unreached = torch.autograd.grad(output.sum(), groups[other], retain_graph=True, allow_unused=True)
        assert all(gradient is None for gradient in unreached)


def test_only_the_boundary_logit_has_a_bias(model):
    convolutions = {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert [name for name, module in convolutions.items() if module.bias is not None] == ["boundary.logit"]


@pytest.mark.parametrize(
    ("height", "width", "side"), [(40, 57, 64), (64, 64, 64), (70, 33, 80), (20, 96, 96)]
)
def test_inference_pads_to_the_canvas(model, height, width, side):
    photo = torch.randn(3, height, width)
    boundary, displacement = boundary_and_displacement(model, photo, canvas=64)

    h, w = (height - 1) // 4 + 1, (width - 1) // 4 + 1
    with torch.no_grad():
        plain, mirrored = (
            F.pad(x, (0, side - width, 0, side - height))[None] for x in (photo, photo.flip(-1))
        )
        logit, field = model(plain)
        mirrored_logit, _ = model(mirrored)
    merged = logit[0, 0, :h, :w] / 2 + mirrored_logit[0, 0, :h, :w].flip(-1) / 2
    torch.testing.assert_close(boundary, merged.sigmoid(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(displacement, field[0, :, :h, :w], rtol=1e-4, atol=1e-5)


def test_photos_larger_than_512_are_not_cropped():
    """Defect D2 of the reference: larger photos were cropped to 512, then shapes mismatched."""
    with torch.device("meta"):
        boundary, displacement = boundary_and_displacement(
            IRNet("resnet18"), torch.empty(3, 530, 1201), canvas=512
        )
    assert boundary.shape == (133, 301)
    assert displacement.shape == (2, 133, 301)


def test_boundary_of_a_mirrored_photo_is_mirrored(model):
    photo = torch.randn(3, 48, 64)
    boundary, _ = boundary_and_displacement(model, photo, canvas=64)
    mirrored, _ = boundary_and_displacement(model, photo.flip(-1), canvas=64)
    torch.testing.assert_close(mirrored, boundary.flip(-1))


def test_the_canvas_decides_the_result(model):
    photo = torch.randn(3, 48, 48)
    small, _ = boundary_and_displacement(model, photo, canvas=48)
    large, _ = boundary_and_displacement(model, photo, canvas=96)
    assert (small - large).abs().max() > 0.01
