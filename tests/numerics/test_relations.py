"""Confident labels and their down-sampling."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from irnet_pipe.numerics.dense_crf import DenseCRF
from irnet_pipe.numerics.relations import confident_labels, downsample_labels

GOLDEN = Path(__file__).parents[1] / "golden"


def noise(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("case", range(4))
def test_golden(case):
    golden = np.load(GOLDEN / f"relations_{case}.npz", allow_pickle=False)
    label = confident_labels(
        torch.from_numpy(golden["image"]),
        torch.from_numpy(golden["cam"]),
        fg_threshold=float(golden["fg_threshold"]),
        bg_threshold=float(golden["bg_threshold"]),
    ).numpy()
    voc_label = np.full(256, 255, np.uint8)
    voc_label[: len(golden["class_id"]) + 1] = [0, *(golden["class_id"] + 1)]
    assert np.mean(voc_label[label] != golden["confident"]) <= 1e-3


def test_three_kinds_of_pixels():
    """Uniform stripes: sure foreground, between the thresholds, sure background."""
    image = torch.zeros(12, 90, 3, dtype=torch.uint8)
    image[:, 30:60], image[:, 60:] = 128, 255
    cam = torch.zeros(1, 12, 90)
    cam[:, :, :30], cam[:, :, 30:60] = 0.9, 0.2
    label = confident_labels(image, cam)
    assert label.dtype == torch.uint8
    assert (label[:, :30] == 1).all()
    assert (label[:, 30:60] == 255).all()
    assert (label[:, 60:] == 0).all()


def test_constants_reach_the_crf():
    image, cam = noise(10, 11), torch.rand(2, 10, 11, generator=torch.Generator().manual_seed(0))
    constants = {
        "gaussian_sxy": 2,
        "gaussian_compat": 1,
        "bilateral_sxy": 20,
        "bilateral_srgb": 9,
        "bilateral_compat": 4,
    }
    cut = [torch.cat([torch.full((1, 10, 11), t), cam]).argmax(dim=0) for t in (0.5, 0.2)]
    crf = DenseCRF(image, **constants)
    fg, bg = (crf.infer(labels, n_labels=3, gt_prob=0.6, iterations=2) for labels in cut)
    expected = torch.where(fg > 0, fg, torch.where(bg == 0, 0, 255))
    label = confident_labels(
        image, cam, fg_threshold=0.5, bg_threshold=0.2, gt_prob=0.6, iterations=2, **constants
    )
    assert torch.equal(label, expected.to(torch.uint8))


def test_no_class_is_all_background():
    label = confident_labels(noise(5, 7), torch.zeros(0, 5, 7))
    assert label.shape == (5, 7) and label.dtype == torch.uint8 and not label.any()


@pytest.mark.parametrize("n_classes", [1, 3, 254])
def test_zero_cam_is_all_background(n_classes):
    assert not confident_labels(noise(6, 5), torch.zeros(n_classes, 6, 5)).any()


def test_equal_scores_go_to_the_first_class():
    assert (confident_labels(noise(4, 4), torch.ones(3, 4, 4)) == 1).all()


def test_the_254th_class_is_no_neutral():
    cam = torch.zeros(254, 4, 4)
    cam[253] = 1
    assert (confident_labels(noise(4, 4), cam) == 254).all()


def test_more_classes_than_labels():
    with pytest.raises(ValueError, match="255 classes in one photo, at most 254"):
        confident_labels(noise(2, 2), torch.zeros(255, 2, 2))


@pytest.mark.parametrize("shape", [(4, 4), (8, 12), (5, 6), (7, 9), (1, 1), (2, 3)])
def test_downsampling_is_pil_nearest_on_the_padded_map(shape):
    label = np.random.default_rng(0).integers(0, 20, shape, dtype=np.uint8)
    h, w = ((side - 1) // 4 + 1 for side in shape)
    padded = np.full((4 * h, 4 * w), 255, np.uint8)
    padded[: shape[0], : shape[1]] = label
    expected = np.array(Image.fromarray(padded).resize((w, h), Image.Resampling.NEAREST))
    assert np.array_equal(downsample_labels(torch.from_numpy(label)), expected)
