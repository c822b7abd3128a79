"""IRNet: a boundary head and a displacement head on a frozen backbone (Ahn et al. 2019, sec. 4.1 and 6.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from irnet_pipe.models.backbone import Backbone
from irnet_pipe.runtime.memory import halving


def convolve_joined(conv: nn.Conv2d, parts: Sequence[Tensor]) -> Tensor:
    """Apply a 1×1 convolution to the channels of several (n, c_i, h, w) maps, without joining them.

    The joined maps, and their gradient, would be the largest tensors of a training step.
    """
    weights = torch.split(conv.weight, [part.shape[1] for part in parts], dim=1)
    total = functional.conv2d(parts[0], weights[0], conv.bias)
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total.add_(functional.conv2d(part, weight))
    return total


class Projection(nn.Module):
    """1×1 convolution without bias, GroupNorm, bilinear up-sampling, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, groups: int, upsample: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.GroupNorm(groups, out_channels)
        self.upsample = upsample

    def forward(self, features: Sequence[Tensor], finer: Tensor) -> Tensor:
        """Project maps of together (n, in, h, w) → (n, out, h', w'), cropped to the size h' × w' of the map `finer`."""
        x = self.norm(convolve_joined(self.conv, features))
        if self.upsample > 1:
            x = functional.interpolate(x, scale_factor=self.upsample, mode="bilinear", align_corners=False)
        # in place: at stride 4 these maps are what training keeps in memory
        return functional.relu_(x)[..., : finer.shape[-2], : finer.shape[-1]]


class BoundaryHead(nn.Module):
    """All five feature maps, 32 channels each at stride 4, to one boundary logit."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            Projection(c, 32, groups=4, upsample=up) for c, up in zip(channels, (1, 1, 2, 4, 4), strict=True)
        )
        self.logit = nn.Conv2d(32 * 5, 1, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map the five features to (n, 1, h, w) logits at stride 4."""
        levels = [level([f], features[0]) for level, f in zip(self.levels, features, strict=True)]
        return convolve_joined(self.logit, levels)


class DisplacementHead(nn.Module):
    """The three deep feature maps joined at stride 8, then the two shallow ones at stride 4."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths, groups, upsample = (64, 128, 256, 256, 256), (8, 16, 16, 16, 16), (1, 1, 1, 2, 2)
        self.levels = nn.ModuleList(
            Projection(c, width, groups=g, upsample=up)
            for c, width, g, up in zip(channels, widths, groups, upsample, strict=True)
        )
        self.deep = Projection(sum(widths[2:]), 256, groups=16, upsample=2)
        self.joint = Projection(sum(widths[:2]) + 256, 256, groups=16)
        self.field = nn.Conv2d(256, 2, 1, bias=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map the five features to displacements (n, 2, h, w), (dy, dx) in pixels at stride 4."""
        finer = [features[0]] * 2 + [features[2]] * 3
        levels = [level([f], like) for level, f, like in zip(self.levels, features, finer, strict=True)]
        deep = self.deep(levels[2:], features[0])
        joint = self.joint([*levels[:2], deep], features[0])
        field: Tensor = self.field(joint)
        return field


class IRNet(nn.Module):
    """Boundary map and displacement field of an image; the backbone never changes.

    The mean displacement is not subtracted here: calibration is a stage of its own.

    Args:
        backbone: name of the backbone.
    """

    def __init__(self, backbone: str) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, frozen_stages=5)
        self.boundary = BoundaryHead(self.backbone.channels)
        self.displacement = DisplacementHead(self.backbone.channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map normalised images (n, 3, H, W) to boundary logits (n, 1, h, w), displacements (n, 2, h, w).

        h = ⌈H/4⌉, w = ⌈W/4⌉; displacements are (dy, dx) in pixels at stride 4.
        """
        features = self.backbone(x)
        # Gradients flow back in the opposite order: the smaller head is done with its maps when the larger one begins.
        displacement = self.displacement(features)
        return self.boundary(features), displacement

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the group that has a learning rate of its own."""
        return {
            "boundary": list(self.boundary.parameters()),
            "displacement": list(self.displacement.parameters()),
        }


@torch.no_grad()
def boundary_and_displacement(model: IRNet, photo: Tensor, *, canvas: int) -> tuple[Tensor, Tensor]:
    """Compute the boundary map and the raw displacement field of one photo.

    The photo and its mirror are padded at the right and bottom to a square, because GroupNorm takes its
    statistics over the whole canvas: its size is part of the method. The two boundary logits are averaged;
    the displacement is that of the photo as it is.

    Args:
        model: in evaluation mode.
        photo: (3, H, W), normalised.
        canvas: side of the square, in pixels; a photo with a longer side gets the next multiple of 16.

    Returns:
        boundary (h, w) in 0…1 and displacement (2, h, w), float32, with h = ⌈H/4⌉, w = ⌈W/4⌉.
    """
    height, width = photo.shape[-2:]
    side = max(height, width)
    side = canvas if side <= canvas else -(-side // 16) * 16
    pair = torch.stack([photo, photo.flip(-1)])
    logit, displacement = halving(functional.pad(pair, (0, side - width, 0, side - height)), model)
    h, w = -(-height // 4), -(-width // 4)
    logit = logit[:, 0, :h, :w].float()
    boundary = torch.sigmoid(logit[0] / 2 + logit[1].flip(-1) / 2)
    return boundary, displacement[0, :, :h, :w].float()
