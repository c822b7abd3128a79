"""The CAM classifier: an image classifier whose last layer gives a map per class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnet_pipe.models.backbone import FROZEN_STAGES, Backbone
from irnet_pipe.runtime.memory import halving


class CamNet(nn.Module):
    """Backbone, global average pooling, and a 1×1 convolution without bias (Ahn et al. 2019, sec. 3.2).

    Args:
        backbone: name of the backbone.
        n_classes: number of classes.
        freeze: 'layer2' (stem, layer1 and layer2 never change, as in the paper), 'stem' or 'none'.
        batch_norm: 'running' or 'batch', see `Backbone`.
    """

    def __init__(
        self, backbone: str, n_classes: int, *, freeze: str = "layer2", batch_norm: str = "running"
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, frozen_stages=FROZEN_STAGES[freeze], batch_norm=batch_norm)
        self.classifier = nn.Conv2d(self.backbone.channels[-1], n_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, 3, H, W) → logits (n, c)."""
        features = self.backbone(x)[-1]
        logits: Tensor = self.classifier(features.mean((2, 3), keepdim=True))
        return logits.flatten(1)

    def class_maps(self, x: Tensor) -> Tensor:
        """Compute the class maps ReLU(w∗F(x)) of images (n, 3, H, W) → (n, c, ⌈H/16⌉, ⌈W/16⌉)."""
        return F.relu(self.classifier(self.backbone(x)[-1]))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the group that has a learning rate of its own."""
        return {
            "backbone": [p for p in self.backbone.parameters() if p.requires_grad],
            "classifier": list(self.classifier.parameters()),
        }


@torch.no_grad()
def multi_scale_class_maps(
    model: CamNet, scaled_photos: Sequence[Tensor], *, classes: Sequence[int]
) -> list[Tensor]:
    """Compute raw class maps per scale, those of the mirrored photo mirrored back and added.

    Args:
        model: in evaluation mode.
        scaled_photos: one (3, h_s, w_s) per scale, normalised.
        classes: ids of the k classes that are kept.

    Returns:
        One (k, ⌈h_s/16⌉, ⌈w_s/16⌉) float32 per scale.
    """
    merged = []
    for photo in scaled_photos:
        pair = torch.stack([photo, photo.flip(-1)])
        (maps,) = halving(pair, lambda images: (model.class_maps(images),))
        maps = maps[:, list(classes)].float()
        merged.append(maps[0] + maps[1].flip(-1))
    return merged
