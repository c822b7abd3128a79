"""Networks of the segmenters: what is torchvision's, what is frozen, what is dilated."""

import pytest
import torch
import torchvision
from torch import nn

from irnet_pipe.models.backbone import FROZEN_STAGES
from irnet_pipe.models.deeplab import DeepLab, dilated_resnet
from irnet_pipe.models.mask_rcnn import MaskRcnn

BUILDERS = {
    MaskRcnn: torchvision.models.detection.maskrcnn_resnet50_fpn,
    DeepLab: torchvision.models.segmentation.deeplabv3_resnet50,
}


@pytest.mark.parametrize("build", [MaskRcnn, DeepLab])
def test_names_and_shapes_of_weights_are_torchvisions(build):
    with torch.device("meta"):
        theirs = BUILDERS[build](num_classes=4, weights=None, weights_backbone=None).state_dict()
        ours = build("resnet50", 3).network.state_dict()
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in theirs.items()
    }


@pytest.mark.parametrize("build", [MaskRcnn, DeepLab])
@pytest.mark.parametrize("freeze", FROZEN_STAGES)
@pytest.mark.parametrize("batch_norm", ["running", "batch"])
def test_frozen_stages_have_no_gradient_and_keep_their_statistics(build, freeze, batch_norm):
    with torch.device("meta"):
        model = build("resnet18", 2, freeze=freeze, batch_norm=batch_norm).train()
    stages = ("stem", "layer1", "layer2", "layer3", "layer4")
    for index, stage in enumerate(stages):
        for name, module in model.body.named_modules():
            if (
                isinstance(module, nn.BatchNorm2d)
                and (name.split(".")[0] if "layer" in name else "stem") == stage
            ):
                trains = index >= FROZEN_STAGES[freeze]
                assert module.weight.requires_grad == trains
                assert module.training == (trains and batch_norm == "batch")
    groups = model.parameter_groups()
    assert all(p.requires_grad for group in groups.values() for p in group)
    counted = sum(len(group) for group in groups.values())
    assert counted == sum(p.requires_grad for p in model.parameters())
    assert not model.eval().body.bn1.training


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_each_weight_of_a_dilated_network_meets_the_pixels_that_it_meets_with_strides(name):
    torch.manual_seed(0)
    plain = torchvision.models.get_model(name, weights=None).eval()
    dilated = dilated_resnet(name).eval()
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(1, plain.layer3[0].conv1.in_channels, 16, 16)
    with torch.no_grad():
        strided, dense = plain.layer4(plain.layer3(x)), dilated.layer4(dilated.layer3(x))
    assert dense.shape[-2:] == (16, 16)
    torch.testing.assert_close(dense[..., ::4, ::4], strided, rtol=1e-4, atol=1e-4)
