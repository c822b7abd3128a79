"""Class activation maps: merging the mirror, summing the scales, normalising (Ahn et al. 2019, sec. 3.1)."""

from collections.abc import Sequence

import torch
from torch.nn import functional


def strided_size(height: int, width: int) -> tuple[int, int]:
    """Size of the stride-4 grid of an image."""
    return (height - 1) // 4 + 1, (width - 1) // 4 + 1


def merge_flip(response: torch.Tensor) -> torch.Tensor:
    """Join the responses to an image and to its mirror.

    Args:
        response: (2, k, h, w) class responses before the ReLU, the mirrored image second.

    Returns:
        (k, h, w) sum of the rectified responses, as the image lies.
    """
    rectified = response.relu()
    return rectified[0] + rectified[1].flip(-1)


def strided_cam(maps: Sequence[torch.Tensor], *, size: tuple[int, int]) -> torch.Tensor:
    """Sum the scales on the stride-4 grid.

    Args:
        maps: one (k, h_s, w_s) float map per scale, as `merge_flip` returns them.
        size: (H, W) of the image.

    Returns:
        (k, h, w) float32 with (h, w) = `strided_size(H, W)`, each class divided by its maximum + 1e-5.
    """
    return _normalised(_sum_scales(maps, strided_size(*size)))


def highres_cam(maps: Sequence[torch.Tensor], *, size: tuple[int, int]) -> torch.Tensor:
    """Sum the scales at the size of the image.

    Args:
        maps: one (k, h_s, w_s) float map per scale, as `merge_flip` returns them.
        size: (H, W) of the image.

    Returns:
        (k, H, W) float32, each class divided by its maximum + 1e-5.
    """
    height, width = size
    padded = _sum_scales(maps, (-(-height // 16) * 16, -(-width // 16) * 16))
    return _normalised(padded[:, :height, :width])


def _sum_scales(maps: Sequence[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
    total = maps[0].new_zeros((len(maps[0]), *size), dtype=torch.float32)
    if len(total):  # torch refuses to resize nothing
        for scale in maps:
            total += functional.interpolate(scale.float()[None], size, mode="bilinear", align_corners=False)[
                0
            ]
    return total


def _normalised(cam: torch.Tensor) -> torch.Tensor:
    # the 1e-5 keeps a map without response at zero
    return cam / (cam.amax((1, 2), keepdim=True) + 1e-5)


def instance_cams(
    cam: torch.Tensor, instance_map: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Restrict each class to each instance; pairs without any score are left out.

    Args:
        cam: (k, h, w) float32 on the stride-4 grid.
        instance_map: (h, w) int, instances 0…n − 1.

    Returns:
        `score` (m, h, w) float32, `class_index` (m,) int64, 0…k − 1, `instance_id` (m,) int64; ordered by class,
        then by instance.
    """
    instances = torch.arange(int(instance_map.max()) + 1, device=cam.device)
    inside = instance_map.to(cam.device) == instances[:, None, None]
    score = cam[:, None] * inside
    class_index, instance_id = score.flatten(2).any(-1).nonzero(as_tuple=True)
    return score[class_index, instance_id], class_index, instance_id
