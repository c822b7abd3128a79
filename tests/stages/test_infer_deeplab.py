"""infer_deeplab on a tiny run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from contract import DeviceContract
from segmenter_run import with_segmenters
from tiny_pipeline import Pipeline

from irnet_pipe.artifacts.masks import read_semantic
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.config.crf import ProbabilityCrf
from irnet_pipe.models.deeplab import DeepLab, most_probable_class, multi_scale_probabilities
from irnet_pipe.models.inference import refine_probabilities
from irnet_pipe.numerics.run_lengths import decode_rle


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """DeepLabV3 that has learnt nothing."""
    path = tmp_path_factory.mktemp("trained") / "deeplab.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = DeepLab("resnet18", 2).network.state_dict()
    state["classifier.4.bias"] = torch.tensor([-1.0, 0, 0])  # classes rather than background
    header = {"kind": "deeplab", "backbone": "resnet18", "classes": ["box", "disc"], "learnt-from": "full"}
    write_weights(path, header=header, state_dict=state, history={})
    return path


@pytest.fixture(scope="module")
def pipeline(weights, tmp_path_factory, photo_set, trained, make_tiny_values) -> Pipeline:
    values = with_segmenters(make_tiny_values(photo_set, tmp_path_factory.mktemp("predictions")))
    return Pipeline(values, {"train_cam": trained.cam, "train_deeplab": weights})


@pytest.mark.slow
class TestInferDeepLab(DeviceContract):
    stage = "infer_deeplab"
    parents = ("train_deeplab",)
    opens_photos = True
    forward = (DeepLab, "forward")
    size_keys = "dataset.working_long_side or the largest of deeplab.infer.scales"
    negatives_have: ClassVar = {}

    @pytest.fixture
    def dark_pipeline(self, pipeline):
        return pipeline  # no class maps are read

    def check_arrays(self, reader, entry, job):
        class_id, runs = read_semantic(reader, entry.image_id)
        masks = [decode_rle(counts, size=(entry.height, entry.width)) for counts in runs]
        assert set(class_id) <= {0, 1} and masks and all(mask.any() for mask in masks)
        assert sum(mask.astype(int) for mask in masks).max() == 1, "masks are disjoint"
        assert set(reader.names(entry.image_id)) == {"class_id", "semantic_counts", "semantic_ends"}

    def test_negatives_are_present_and_empty(self, job):
        """They are seen as any photo is: a segmenter knows no labels."""
        self.run(job)
        with self.open(job) as reader:
            negative = [entry.image_id for entry in job.images if entry.labels == ()]
            assert negative
            for image_id in negative:
                assert "semantic_counts" in reader.names(image_id)


def test_crf_is_an_option_that_follows_the_photo():
    photo = np.zeros((24, 32, 3), dtype=np.uint8)
    photo[:, 16:] = 200
    probability = torch.full((2, 24, 32), 0.3)
    probability[0, :, :16] = probability[1, :, 16:] = 0.7
    probability[:, 12, 8] = torch.tensor([0.45, 0.55])  # a stray pixel
    crf = ProbabilityCrf().model_dump()
    assert refine_probabilities(probability, photo, crf) is probability
    refined = refine_probabilities(probability, photo, crf | {"iterations": 5})
    torch.testing.assert_close(refined.sum(dim=0), torch.ones(24, 32))
    label = most_probable_class(refined, size=(24, 32))
    assert not label[:, :16].any() and label[:, 16:].all()


class Ramp(DeepLab):
    """Logits of class 1 that are the red of the photo."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, x):
        return torch.stack([torch.zeros_like(x[:, 0]), x[:, 0]], dim=1)


def test_probabilities_are_the_mean_over_scales_and_mirrors(rng):
    photo = torch.from_numpy(rng.standard_normal((3, 8, 12)).astype(np.float32))
    half = torch.from_numpy(rng.standard_normal((3, 4, 6)).astype(np.float32))
    found = multi_scale_probabilities(Ramp(), [photo, half], size=(8, 12))
    resized = torch.nn.functional.interpolate(
        torch.sigmoid(half[0])[None, None], size=(8, 12), mode="bilinear"
    )
    torch.testing.assert_close(found[1], (torch.sigmoid(photo[0]) + resized[0, 0]) / 2)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(8, 12))


def test_most_probable_class_is_that_of_all_maps_upsampled(rng):
    probability = torch.from_numpy(rng.random((4, 5, 7))).float().softmax(dim=0)
    whole = torch.nn.functional.interpolate(probability[None], size=(20, 30), mode="bilinear")[0]
    found = most_probable_class(probability, size=(20, 30))
    assert found.dtype == torch.uint8 and found.equal(whole.argmax(dim=0).to(torch.uint8))
