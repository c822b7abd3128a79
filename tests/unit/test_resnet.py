import subprocess
import sys

import pytest
import torch
import torchvision

from irnet_pipe.models.resnet import ARCHITECTURES, ResNet


def both(name):
    """Ours and torchvision's, by the same seed."""
    models = []
    for build in (ResNet, torchvision.models.get_model):
        torch.manual_seed(3)
        models.append(build(name))
    return models


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_names_and_initial_weights_are_those_of_torchvision(name):
    ours, theirs = (model.state_dict() for model in both(name))
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_logits_gradients_and_statistics_are_those_of_torchvision(name):
    x = torch.randn(2, 3, 70, 45, generator=torch.Generator().manual_seed(0))
    models = both(name)
    results = []
    for model in models:
        logits = model.train()(x)
        logits.square().sum().backward()
        results.append([logits, *(p.grad for p in model.parameters()), *model.buffers(), model.eval()(x)])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("stage", ["infer_cam", "infer_irnet", "train_cam", "train_irnet"])
def test_stages_start_without_torchvision(stage):
    code = f"import sys, irnet_pipe.stages.{stage}; print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
