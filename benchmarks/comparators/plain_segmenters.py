"""Trainings of both segmenters as one writes them from torchvision's references: data sets, networks, losses.

Draws are those of our samples, so that both sides see the same photos in the same order, mirrored and cropped alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.segmentation import deeplabv3_resnet50
from torchvision.ops import masks_to_boxes
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from irnet_pipe.data.image_list import ImageEntry
from irnet_pipe.data.transforms import random_window
from irnet_pipe.runtime.seeding import generator

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VOID = 255
FROZEN = ("conv1", "bn1", "layer1")
"""Of a backbone: all but torchvision's three trainable layers."""


class Files(Dataset[Any]):
    """Photos, and PNGs of their masks.

    Args:
        entries: the images.
        root: folder that photo paths are relative to.
        masks: folder of class/<image_id>.png and object/<image_id>.png.
    """

    def __init__(self, entries: Sequence[ImageEntry], root: Path, masks: Path) -> None:
        self.entries = entries
        self.root = root
        self.masks = masks

    def photo(self, entry: ImageEntry) -> Image.Image:
        return Image.open(self.root / entry.path).convert("RGB")

    def mask(self, kind: str, entry: ImageEntry) -> Image.Image:
        return Image.open(self.masks / kind / f"{entry.image_id}.png")


class InstancePhotos(Files):
    """Photo (3, H, W) in 0…1, and boxes, labels and masks of its instances; the network resizes both."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor]]:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(0, "train_maskrcnn", epoch, entry.image_id)
        rng.integers(1)  # where ours draws the size
        photo = F.to_dtype(F.pil_to_tensor(self.photo(entry)), torch.float32, scale=True)
        objects, classes = (
            torch.from_numpy(np.array(self.mask(kind, entry))) for kind in ("object", "class")
        )
        numbers = objects.unique()[1:]  # 0 is background
        masks = objects == numbers[:, None, None]
        labels = torch.stack([classes[mask][0] for mask in masks]).long()
        if rng.random() < 0.5:
            photo, masks = F.horizontal_flip(photo), F.horizontal_flip(masks)
        boxes = masks_to_boxes(masks)
        boxes[:, 2:] += 1  # the end of the last pixel, as in ours
        return photo, {"boxes": boxes, "labels": labels, "masks": masks.to(torch.uint8)}


class SemanticPhotos(Files):
    """Photo (3, s, s), normalised, and the class of each pixel (s, s), 0 background, 255 padding.

    Args:
        entries: see `Files`.
        root: see `Files`.
        masks: see `Files`.
        crop: s, pixels.
        scale: range from which the scale is drawn.
    """

    def __init__(
        self,
        entries: Sequence[ImageEntry],
        root: Path,
        masks: Path,
        *,
        crop: int,
        scale: tuple[float, float],
    ) -> None:
        super().__init__(entries, root, masks)
        self.crop = crop
        self.scale = scale

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key
        entry = self.entries[index]
        rng = generator(0, "train_deeplab", epoch, entry.image_id)
        photo, label = self.photo(entry), self.mask("class", entry)
        scale = rng.uniform(*self.scale)
        size = [round(side * scale) for side in (photo.height, photo.width)]
        photo = F.resize(photo, size, InterpolationMode.BICUBIC)
        label = F.resize(label, size, InterpolationMode.NEAREST)
        if rng.random() < 0.5:
            photo, label = F.horizontal_flip(photo), F.horizontal_flip(label)
        window = random_window(*size, side=self.crop, rng=rng)
        (top, left), (bottom, right) = zip(*((s.start, s.stop) for s in window.source), strict=True)
        photo, label = (F.crop(image, top, left, bottom - top, right - left) for image in (photo, label))
        pixels = F.to_dtype(F.pil_to_tensor(photo), torch.float32, scale=True)
        rows, columns = window.target
        padding = [columns.start, rows.start, self.crop - columns.stop, self.crop - rows.stop]
        normalised = F.pad(F.normalize(pixels, MEAN, DEVIATION), padding)
        return normalised, F.pad(F.pil_to_tensor(label), padding, fill=VOID)[0].long()


def instances_of_batch(samples: Sequence[Any]) -> tuple[Any, ...]:
    """Photos, and targets: as a batch of torchvision's detection references."""
    return tuple(zip(*samples, strict=True))


def load(data: Files, keys: Iterable[list[tuple[int, int]]], *, workers: int) -> Iterator[Any]:
    """Load batches in the order of `keys`."""
    collate = instances_of_batch if isinstance(data, InstancePhotos) else None
    yield from DataLoader(
        data,
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=collate,
        multiprocessing_context="spawn" if workers else None,
    )


def mask_rcnn(n_classes: int, *, short_side: int, max_side: int) -> nn.Module:
    """What `maskrcnn_resnet50_fpn` builds from pretrained weights, without them; background is a class."""
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=3)
    return MaskRCNN(backbone, n_classes, min_size=short_side, max_size=max_side).train()


def mask_rcnn_losses(model: nn.Module, photos: Sequence[Tensor], targets: Sequence[Any]) -> dict[str, Tensor]:
    """The five losses by name."""
    losses: dict[str, Tensor] = model(photos, targets)
    return {name.removeprefix("loss_"): loss for name, loss in losses.items()}


def deeplab(n_classes: int) -> nn.Module:
    """torchvision's network, frozen as ours, its backbone with the statistics that it came with."""
    model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=n_classes).train()
    model.backbone.eval()
    for name in FROZEN:
        model.backbone[name].requires_grad_(False)
    return model


def deeplab_losses(model: nn.Module, photos: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Cross entropy of all pixels but void."""
    return {"total": nn.functional.cross_entropy(model(photos)["out"], labels, ignore_index=VOID)}
