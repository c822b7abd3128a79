"""Import of the reference's weights, against a twin of its networks written from the method's description."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from irnet_pipe.artifacts.weights import load_weights
from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet, multi_scale_class_maps
from irnet_pipe.models.irnet import IRNet, boundary_and_displacement
from irnet_pipe.models.reference import BACKBONE, from_reference

LISTING = json.loads((Path(__file__).parents[1] / "golden" / "official_state_dict_keys.json").read_text())
SOURCE = Path("res50.pth")
SIZES = [(96, 128), (101, 67), (50, 200)]


def random_state(network, *, n_classes=20):
    """A state dict of the reference's names and shapes; names of one tensor share it."""
    generator = torch.Generator().manual_seed(0)
    first_names = {name: names[0] for names in LISTING[network]["aliases"] for name in names}
    state, tensors = {}, {}
    for name, shape in LISTING[network]["keys"].items():
        if len(shape) == 4 and shape[:2] == [20, 2048]:
            shape = [n_classes, *shape[1:]]
        first = first_names.get(name, name)
        if first not in tensors:
            tensors[first] = random_tensor(name, shape, generator)
        state[name] = tensors[first]
    return state


def random_tensor(name, shape, generator):
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    values = torch.randn(shape, generator=generator)
    if len(shape) == 4:
        return values * (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
    if name.endswith("running_var"):
        return 0.5 + values.abs()
    return 1 + 0.2 * values if name.endswith("weight") else 0.2 * values


def twin_batch_norm(x, state, name):
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][None, :, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def twin_bottleneck(x, state, name, *, stride):
    y = F.relu(twin_batch_norm(F.conv2d(x, state[f"{name}.conv1.weight"]), state, f"{name}.bn1"))
    y = F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1)
    y = F.relu(twin_batch_norm(y, state, f"{name}.bn2"))
    y = twin_batch_norm(F.conv2d(y, state[f"{name}.conv3.weight"]), state, f"{name}.bn3")
    if f"{name}.downsample.0.weight" in state:
        x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
        x = twin_batch_norm(x, state, f"{name}.downsample.1")
    return F.relu(x + y)


def twin_features(x, state):
    """docs/method.md, 1: strides 2 (stem), 2 (pool), 1, 2, 2, 1."""
    x = F.conv2d(x, state["resnet50.conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(F.relu(twin_batch_norm(x, state, "resnet50.bn1")), 3, stride=2, padding=1)
    features = [x]
    for layer, (blocks, stride) in enumerate(((3, 1), (4, 2), (6, 2), (3, 1)), start=1):
        for block in range(blocks):
            x = twin_bottleneck(x, state, f"resnet50.layer{layer}.{block}", stride=1 if block else stride)
        features.append(x)
    return features


def twin_class_maps(x, state):
    return F.relu(F.conv2d(twin_features(x, state)[-1], state["classifier.weight"]))


def twin_irnet(x, state):
    """docs/method.md, 4: convolution, GroupNorm, bilinear up-sampling, crop to the finer map, ReLU."""

    def project(name, x, groups, up, like):
        x = F.conv2d(x, state[f"{name}.0.weight"])
        x = F.group_norm(x, groups, state[f"{name}.1.weight"], state[f"{name}.1.bias"])
        if up > 1:
            x = F.interpolate(x, scale_factor=up, mode="bilinear", align_corners=False)
        return F.relu(x[:, :, : like.shape[2], : like.shape[3]])

    f = twin_features(x, state)
    edges = [project(f"fc_edge{i + 1}", f[i], 4, up, f[1]) for i, up in enumerate((1, 1, 2, 4, 4))]
    boundary = F.conv2d(torch.cat(edges, 1), state["fc_edge6.weight"], state["fc_edge6.bias"])
    shallow = [project("fc_dp1", f[0], 8, 1, f[0]), project("fc_dp2", f[1], 16, 1, f[1])]
    deep = [project(f"fc_dp{i + 1}", f[i], 16, up, f[2]) for i, up in ((2, 1), (3, 2), (4, 2))]
    joined = project("fc_dp6", torch.cat(deep, 1), 16, 2, f[1])
    joined = project("fc_dp7", torch.cat([*shallow, joined], 1), 16, 1, f[1])
    return boundary, F.conv2d(joined, state["fc_dp7.3.weight"])


def assert_close_to_maximum(actual, expected):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_raw_class_maps_equal_the_twin():
    state = random_state("res50_cam", n_classes=7)
    imported = from_reference(state, source=SOURCE)
    assert (imported.kind, imported.n_classes, imported.mean_displacement) == ("cam", 7, None)
    model = CamNet(BACKBONE, 7).eval()
    load_weights(model, imported.state_dict, source=SOURCE)
    photos = [torch.randn(3, *size, generator=torch.Generator().manual_seed(1)) for size in SIZES]
    for photo, maps in zip(
        photos, multi_scale_class_maps(model, photos, classes=[0, 5, 2, 6, 1]), strict=True
    ):
        expected = twin_class_maps(torch.stack([photo, photo.flip(-1)]), state)[:, [0, 5, 2, 6, 1]]
        assert expected.any((0, 2, 3)).sum() >= 2
        for actual, plain, mirrored in zip(maps, *expected, strict=True):
            assert_close_to_maximum(actual, plain + mirrored.flip(-1))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_boundary_and_displacement_equal_the_twin(height, width):
    state = random_state("res50_irn")
    imported = from_reference(state, source=SOURCE)
    assert (imported.kind, imported.n_classes) == ("irnet", None)
    assert torch.equal(imported.mean_displacement, state["mean_shift.running_mean"])
    model = IRNet(BACKBONE).eval()
    load_weights(model, imported.state_dict, source=SOURCE)

    photo = torch.randn(3, height, width, generator=torch.Generator().manual_seed(2))
    boundary, displacement = boundary_and_displacement(model, photo, canvas=144)

    side = 144 if width <= 144 else 208
    padded = torch.zeros(2, 3, side, side)
    padded[0, :, :height, :width], padded[1, :, :height, :width] = photo, photo.flip(-1)
    logit, field = twin_irnet(padded, state)
    h, w = (height - 1) // 4 + 1, (width - 1) // 4 + 1
    logit = logit[:, 0, :h, :w]
    assert_close_to_maximum(boundary, torch.sigmoid(logit[0] / 2 + logit[1].flip(-1) / 2))
    for actual, expected in zip(displacement, field[0, :, :h, :w], strict=True):
        assert_close_to_maximum(actual, expected)
    assert boundary.std() > 0.05
    assert displacement.std() > 0.05


@pytest.mark.parametrize("network", ["res50_cam", "res50_irn"])
def test_second_names_and_training_buffers_change_nothing(network):
    state = random_state(network)
    canonical = ("resnet50.", "classifier.", "fc_", "mean_shift.")
    alone = {
        key: value for key, value in state.items() if key.startswith(canonical) and "fc_dp7.4" not in key
    }
    assert len(alone) < len(state) / 2
    extended = {
        **state,
        "path_indices0": torch.zeros(1, 2),
        "path_indices12": torch.zeros(3),
        "disp_target": torch.ones(1),
    }
    results = [from_reference(s, source=SOURCE).state_dict for s in (state, alone, extended)]
    for key, value in results[0].items():
        assert all(torch.equal(result[key], value) for result in results[1:])
    assert all(result.keys() == results[0].keys() for result in results)


def test_no_mean_displacement():
    state = {
        key: value
        for key, value in random_state("res50_irn").items()
        if "running_mean" not in key or "bn" in key or "downsample" in key or "resnet50" in key
    }
    assert from_reference(state, source=SOURCE).mean_displacement is None


@pytest.mark.parametrize("network", ["res50_cam", "res50_irn"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"resnet50.layer3.2.conv2.weight": None},
            r"key resnet50.layer3.2.conv2.weight, expected \(256, 256, 3, 3\), found no such key",
        ),
        ({"fc_edge7.weight": torch.zeros(2)}, r"key fc_edge7.weight, expected no such key, found \(2,\)"),
        ({"resnet50.bn1.bias": torch.zeros(3)}, r"key resnet50.bn1.bias, expected \(64,\), found \(3,\)"),
    ],
)
def test_missing_unknown_and_misshapen_keys(network, change, message):
    state = {**random_state(network), **change}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(InputError, match=f"res50.pth: no state dict of the reference: {message}"):
        from_reference(state, source=SOURCE)


def test_neither_network():
    with pytest.raises(InputError, match=r"classifier.weight .* or fc_edge6.weight .* neither found"):
        from_reference({"conv1.weight": torch.zeros(1)}, source=SOURCE)
