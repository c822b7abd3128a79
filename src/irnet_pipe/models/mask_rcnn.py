"""Mask R-CNN with a feature pyramid (He et al. 2017), of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from irnet_pipe.data.mask_samples import InstanceTargets, SeededPhotos
from irnet_pipe.models.segmenter import Segmenter, bare_resnet
from irnet_pipe.runtime.seeding import derive_seed

PYRAMID_CHANNELS = 256
MASK_THRESHOLD = 0.5
"""Probability from which a pixel belongs to an instance."""

Sampler = Callable[[list[Tensor]], tuple[list[Tensor], list[Tensor]]]


@dataclass(frozen=True)
class Detections:
    """Detections of one photo, best first.

    Attributes:
        box: (n, 4) float32, x0, y0, x1, y1 in pixels of what the network saw.
        score: (n,) float32.
        class_id: (n,) int64, from 0.
        mask: (n, 1, 28, 28) float32, probability within each box.
    """

    box: Tensor
    score: Tensor
    class_id: Tensor
    mask: Tensor


class MaskRcnn(Segmenter):
    """Mask R-CNN; `network` is what torchvision's `maskrcnn_resnet50_fpn` builds, on any of our backbones.

    Args:
        backbone: name of the backbone.
        n_classes: without background.
        freeze: see `Segmenter`.
        batch_norm: see `Segmenter`.
        regions: of a photo that the heads learn on.
    """

    def __init__(
        self,
        backbone: str,
        n_classes: int,
        *,
        freeze: str = "layer1",
        batch_norm: str = "running",
        regions: int = 512,
    ) -> None:
        resnet = bare_resnet(backbone)
        widths = [resnet.fc.in_features // 2**k for k in (3, 2, 1, 0)]  # type: ignore[operator, union-attr]
        layers = {f"layer{k + 1}": str(k) for k in range(4)}
        pyramid = BackboneWithFPN(resnet, layers, widths, PYRAMID_CHANNELS, extra_blocks=LastLevelMaxPool())
        # photos come in the size at which they are seen
        network = MaskRCNN(pyramid, 1 + n_classes, box_batch_size_per_image=regions, _skip_resize=True)
        super().__init__(network, pyramid.body, freeze=freeze, batch_norm=batch_norm)
        for part in (network.rpn.head, network.roi_heads.box_predictor, network.roi_heads.mask_predictor):
            part.register_forward_hook(_in_float)
        network.rpn.anchor_generator.register_forward_pre_hook(_anchors_in_float)
        self.samplers = [
            SeededSampler(part.fg_bg_sampler, name)
            for name, part in (("rpn", network.rpn), ("roi_heads", network.roi_heads))
        ]
        network.rpn.fg_bg_sampler, network.roi_heads.fg_bg_sampler = self.samplers

    def forward(self, photos: SeededPhotos, targets: InstanceTargets) -> dict[str, Tensor]:
        """Losses of a batch by name, `total` their sum; scalars in float32."""
        for sampler in self.samplers:
            sampler.seeds = photos.seeds
        losses = self.network([photo.float() / 255 for photo in photos.photos], list(targets.targets))
        named = {name.removeprefix("loss_"): loss.float() for name, loss in losses.items()}
        return named | {"total": torch.stack(list(named.values())).sum()}

    def limit(self, *, nms: float, min_score: float, detections: int) -> MaskRcnn:
        """Set which detections inference keeps."""
        heads: Any = self.network.roi_heads
        heads.nms_thresh, heads.score_thresh, heads.detections_per_img = nms, min_score, detections
        return self

    @torch.no_grad()
    def detect(self, photo: Tensor) -> Detections:
        """Instances of one photo (3, h, w), uint8 or float32 in 0…1, in evaluation mode."""
        network: Any = self.network
        whole = network.transform.normalize(photo if photo.is_floating_point() else photo.float() / 255)
        batch = network.transform.batch_images([whole], network.transform.size_divisible)
        images = ImageList(batch, [(whole.shape[-2], whole.shape[-1])])
        features = network.backbone(batch)
        proposals, _ = network.rpn(images, features)
        (found,), _ = network.roi_heads(features, proposals, images.image_sizes)
        return Detections(
            found["boxes"].float(), found["scores"].float(), found["labels"] - 1, found["masks"].float()
        )


class SeededSampler:
    """Draws the examples of each photo by a seed of its own: whatever else is drawn, and on how many ranks.

    Args:
        sampler: torchvision's, which draws from torch's global generator.
        name: of the part that it belongs to.

    Attributes:
        seeds: one a photo of the batch.
    """

    def __init__(self, sampler: Sampler, name: str) -> None:
        self.sampler = sampler
        self.name = name
        self.seeds: Sequence[int] = ()

    def __call__(self, matched: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks (anchors,) of the positive and of the negative examples of each photo."""
        positive, negative = [], []
        for seed, photo in zip(self.seeds, matched, strict=True):
            with torch.random.fork_rng([photo.device] if photo.is_cuda else []):
                torch.manual_seed(derive_seed(seed, self.name))
                (chosen,), (rest,) = self.sampler([photo])
            positive.append(chosen)
            negative.append(rest)
        return positive, negative


def pasted_mask(found: Detections, index: int, *, seen: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Mask (H, W) bool of one detection, in a photo of `size`, of which the network saw one of size `seen`."""
    scale = torch.tensor([size[1] / seen[1], size[0] / seen[0]] * 2, device=found.box.device)
    box = found.box[index : index + 1] * scale
    probability: Tensor = paste_masks_in_image(found.mask[index : index + 1], box, size)
    return probability[0, 0] >= MASK_THRESHOLD


def _anchors_in_float(module: nn.Module, arguments: tuple[ImageList, list[Tensor]]) -> Any:
    """Anchors have the type of the maps that they are for: stand-ins in float32, of one element, have their sizes."""
    images, maps = arguments
    return images, [torch.zeros((), device=map_.device).expand(map_.shape) for map_ in maps]


def _in_float(module: nn.Module, arguments: Any, output: Any) -> Any:
    """In float32: coordinates of boxes have no room in bf16."""
    if isinstance(output, Tensor):
        return output.float()
    return type(output)(_in_float(module, arguments, part) for part in output)
