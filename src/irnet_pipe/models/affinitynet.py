"""AffinityNet: features whose distance tells whether pixels belong together (Ahn and Kwak 2018, sec. 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnet_pipe.models.backbone import FROZEN_STAGES, Backbone
from irnet_pipe.numerics.strides import AFFINITYNET_STRIDE

WIDTHS = (64, 128, 256)
"""Channels of layer2, layer3 and layer4 after their projections."""


class AffinityNet(nn.Module):
    """Three levels of the backbone at stride 8, projected and joined by 1×1 convolutions without bias.

    Args:
        backbone: name of the backbone.
        freeze: 'layer2', 'layer1', 'stem' (all up to there never changes) or 'none'.
        batch_norm: 'running' or 'batch', see `Backbone`.
    """

    def __init__(self, backbone: str, *, freeze: str = "layer1", batch_norm: str = "running") -> None:
        super().__init__()
        self.backbone = Backbone(
            backbone, frozen_stages=FROZEN_STAGES[freeze], batch_norm=batch_norm, stride=AFFINITYNET_STRIDE
        )
        self.levels = nn.ModuleList(
            nn.Conv2d(channels, width, 1, bias=False)
            for channels, width in zip(self.backbone.channels[-3:], WIDTHS, strict=True)
        )
        self.joint = nn.Conv2d(sum(WIDTHS), sum(WIDTHS), 1, bias=False)
        for weight in self.levels.parameters():
            nn.init.kaiming_normal_(weight)
        # as in the reference: features that lie so far apart that affinities do not all start at 1
        nn.init.xavier_uniform_(self.joint.weight, gain=4)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (n, 3, H, W) to features (n, 448, ⌈H/8⌉, ⌈W/8⌉)."""
        maps = self.backbone(x)[-3:]
        levels = [F.elu(level(map_)) for level, map_ in zip(self.levels, maps, strict=True)]
        return F.elu(self.joint(torch.cat(levels, 1)))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the group that has a learning rate of its own."""
        return {
            "backbone": [p for p in self.backbone.parameters() if p.requires_grad],
            "head": [*self.levels.parameters(), *self.joint.parameters()],
        }


@torch.no_grad()
def photo_features(model: AffinityNet, photo: Tensor) -> Tensor:
    """Compute the features of one photo, padded with zeros at the right and bottom to whole blocks of 8×8.

    Args:
        model: in evaluation mode.
        photo: (3, H, W), normalised.

    Returns:
        (448, ⌈H/8⌉, ⌈W/8⌉) float32.
    """
    height, width = photo.shape[-2:]
    features: Tensor = model(
        F.pad(photo, (0, -width % AFFINITYNET_STRIDE, 0, -height % AFFINITYNET_STRIDE))[None]
    )
    return features[0].float()
