"""AffinityNet: its network, its samples, its config, and what it adds to a plan."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import nn

from first_stages import changed
from irnet_pipe.config import parse_config
from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.transforms import Window, crop_scores, jitter_colours
from irnet_pipe.errors import InputError
from irnet_pipe.index import Index
from irnet_pipe.models.affinitynet import AffinityNet, photo_features
from irnet_pipe.models.backbone import BACKBONES, Backbone
from irnet_pipe.planner import make_plan

STAGES = {"mine_affinitynet", "train_affinitynet", "propagate_affinitynet"}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 50)])
def test_backbone_at_stride_8(name, height, width):
    with torch.device("meta"):
        backbone = Backbone(name, stride=8)
        features = backbone(torch.empty(2, 3, height, width))
    sizes = [tuple(feature.shape[-2:]) for feature in features]
    assert sizes == [(-(-height // stride), -(-width // stride)) for stride in (4, 4, 8, 8, 8)]
    assert [feature.shape[1] for feature in features] == list(backbone.channels)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize(("height", "width"), [(96, 64), (75, 90)])
def test_every_second_feature_is_that_of_the_classifiers_network(name, height, width):
    """Each weight meets the pixels that it meets there: the comparison is at equal networks."""
    torch.manual_seed(0)
    usual, dilated = Backbone(name).double().eval(), Backbone(name, stride=8).double().eval()
    dilated.load_state_dict(usual.state_dict())
    photo = torch.randn(1, 3, height, width, dtype=torch.float64)
    with torch.no_grad():
        for deep, expected in zip(dilated(photo)[3:], usual(photo)[3:], strict=True):
            torch.testing.assert_close(deep[..., ::2, ::2], expected)


def test_features_of_three_levels():
    model = AffinityNet("resnet18")
    assert model(torch.randn(2, 3, 48, 64)).shape == (2, 448, 6, 8)
    assert [tuple(level.weight.shape) for level in model.levels] == [
        (64, 128, 1, 1),
        (128, 256, 1, 1),
        (256, 512, 1, 1),
    ]
    assert all(conv.bias is None for conv in (*model.levels, model.joint))


def test_groups_hold_what_is_not_frozen_once():
    model = AffinityNet("resnet18", freeze="layer1")
    groups = model.parameter_groups()
    ids = [id(parameter) for group in groups.values() for parameter in group]
    trainable = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert set(ids) == trainable and len(ids) == len(trainable) and len(groups["head"]) == 4
    assert not any(p.requires_grad for p in model.backbone.layer1.parameters())
    assert all(p.requires_grad for p in model.backbone.layer2.parameters())


class Coordinates(nn.Module):
    """Features that are the mean of each block."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 8).to(torch.bfloat16)


def test_photos_are_padded_to_whole_blocks():
    features = photo_features(Coordinates(), torch.ones(3, 20, 24))
    assert features.dtype == torch.float32 and features.shape == (3, 3, 3)
    assert (features[:, :2] == 1).all() and (features[:, 2] == 0.5).all()


def test_crops_of_scores_are_shares_and_zero_outside_of_the_photo(rng):
    score = rng.integers(0, 256, (4, 9, 2), dtype=np.uint8)
    window = Window((slice(0, 4), slice(2, 8)), (slice(1, 5), slice(0, 6)))
    crop = crop_scores(score, window, side=6)
    expected = torch.zeros(2, 6, 6)
    expected[:, 1:5] = torch.from_numpy(score[:, 2:8].transpose(2, 0, 1) / 255)
    torch.testing.assert_close(crop, expected)


def test_colours_stay_without_jitter_and_follow_the_seed(rng):
    photo = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    drawn = [
        jitter_colours(photo, strength, rng=np.random.default_rng(seed))
        for strength, seed in (((0, 0, 0, 0), 0), ((0.3, 0.3, 0.3, 0.1), 0), ((0.3, 0.3, 0.3, 0.1), 0))
    ]
    assert np.abs(drawn[0].astype(int) - photo).max() <= 8  # hue goes through integers of HSV
    assert (drawn[1] == drawn[2]).all() and (drawn[1] != photo).mean() > 0.5


@pytest.mark.parametrize(
    ("index", "within"),
    [(0, lambda factor, mean: 255 * 0.4 * factor), (1, lambda factor, mean: mean + factor * (102 - mean))],
)
def test_factors_of_brightness_and_contrast_lie_about_one(index, within):
    photo = np.full((10, 10, 3), 102, dtype=np.uint8)
    photo[:5] = 50
    strength = [0.3 * (index == number) for number in range(4)]
    values = [
        float(jitter_colours(photo, strength, rng=np.random.default_rng(seed))[9, 0, 0]) for seed in range(60)
    ]
    low, high = sorted(within(factor, 76) for factor in (0.7, 1.3))
    assert low - 2 <= min(values) < low + 0.2 * (high - low)
    assert high + 2 >= max(values) > high - 0.2 * (high - low)


def entry(image_id: str, labels: tuple[int, ...] = (0,)) -> ImageEntry:
    return ImageEntry(image_id, f"{image_id}.png", 32, 32, labels, "d")


def make_index(**changes: object) -> Index:
    train = tuple(sorted([*(entry(f"t{i}") for i in range(8)), entry("negative", ())]))
    index = Index(("box",), train, train[:3], None, {})
    return dataclasses.replace(index, **changes)


def config(**paths: object):
    return parse_config(changed({"shards": {"n": 2}, "dataset": {"root": "."}}, **paths))


def test_a_run_has_its_stages_if_the_variant_is_asked_for():
    without = make_plan(config(), make_index())
    plan = make_plan(config(export__variants=["affinitynet", "full"]), make_index())
    assert not {artifact.stage for artifact in without.artifacts} & STAGES
    assert {artifact.stage for artifact in plan.artifacts} >= STAGES
    joint = {"evaluate_masks", "report", "publish"}
    kept = {artifact.recipe for artifact in without.artifacts if artifact.stage not in joint}
    assert kept <= {artifact.recipe for artifact in plan.artifacts}


def test_a_run_of_affinitynet_alone_trains_no_irnet():
    plan = make_plan(config(export__variants=["affinitynet"]), make_index())
    stages = {artifact.stage for artifact in plan.artifacts}
    assert not stages & {"mine_relations", "train_irnet", "infer_irnet", "propagate"}


@pytest.mark.parametrize("segmenter", ["maskrcnn", "deeplab"])
def test_a_segmenter_may_learn_from_it(segmenter):
    plan = make_plan(
        config(**{"segmenters": [segmenter], f"{segmenter}__train__source": "affinitynet"}), make_index()
    )
    (training,) = plan.of(f"train_{segmenter}")
    (learnt,) = plan.of("train_affinitynet")
    for masks in training.parents:
        (scores,) = masks.parents
        assert (masks.record.spec["variant"], scores.stage) == ("affinitynet", "propagate_affinitynet")
        assert learnt in scores.parents


@pytest.mark.parametrize("weights", ["cam", "IMAGENET1K_V1"])
def test_training_reads_the_scores_of_all_training_images(weights):
    index = make_index()
    plan = make_plan(config(export__variants=["affinitynet"], affinitynet__weights=weights), index)
    (training,) = plan.of("train_affinitynet")
    stages = [parent.stage for parent in training.parents]
    assert stages == ["train_cam"] * (weights == "cam") + ["mine_affinitynet"] * 2
    units = {parent.unit for parent in plan.of("mine_affinitynet")}
    assert units == {parent.unit for parent in plan.of("infer_cam")}
    assert {a.unit for a in plan.of("propagate_affinitynet")} == {a.unit for a in plan.of("export_masks")}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weights": "none"}, "affinitynet: weights: none would learn.*set affinitynet.weights: cam"),
        ({"radius": 30}, "train.crop is 448, but radius 30 needs 472 or more"),
        ({"train": {"crop": 100}}, "affinitynet.train.crop is 100: .*multiple of 8"),
        ({"train": {"colour_jitter": [0, 0, 0, 0.6]}}, r"colour_jitter.* is 0.6: .*0\.5"),
        ({"relations": {"alpha_low": 40}}, "alpha_low 40.0 is above alpha_high 32"),
    ],
)
def test_errors_name_key_value_and_bound(values, message):
    with pytest.raises(InputError) as caught:
        parse_config({"affinitynet": values})
    assert re.search(message, "\n".join(caught.value.problems)), caught.value.problems


def test_features_of_the_classifier_are_those_of_its_backbone():
    values = {"affinitynet": {"weights": "cam", "backbone": "resnet18"}}
    parse_config(values)  # not asked for
    with pytest.raises(InputError, match=r"affinitynet\.backbone \(resnet18\) must be cam\.backbone"):
        parse_config({**values, "export": {"variants": ["affinitynet"]}})


@pytest.mark.parametrize("preset", ["paper_default", "paper_log"])
def test_presets_hold_the_schedule_of_the_reference(preset):
    """Weight decay lands in the momentum slot there, too."""
    train = parse_config({"preset": preset}).affinitynet.train
    assert (train.batch, train.epochs, train.crop, train.lr, train.lr_head) == (8, 8, 448, 0.1, 1.0)
    assert (train.momentum, train.weight_decay, train.schedule) == (5e-4, 5e-4, "polynomial")
    assert train.colour_jitter == (0.3, 0.3, 0.3, 0.1)
