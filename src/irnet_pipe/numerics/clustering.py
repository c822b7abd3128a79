"""From centroids to a class-agnostic instance map (Ahn et al. 2019, sec. 4.1)."""

import numpy as np
import torch
from scipy import ndimage


def connected_components(mask: torch.Tensor) -> torch.Tensor:
    """4-connected components of a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) int64 on the CPU: 0 outside of the mask, 1…n the components, in raster order of their first
        pixels.
    """
    labels, _ = ndimage.label(mask.cpu().numpy())
    return torch.from_numpy(labels.astype(np.int64))


def cluster_centroids(
    centroids: torch.Tensor, displacement: torch.Tensor, *, threshold: float = 2.5
) -> torch.Tensor:
    """Group the pixels whose centroids lie in one patch of weak displacement.

    Args:
        centroids: (2, h, w) int, (y, x) as `refine_centroids` returns them.
        displacement: (2, h, w) float32, (dy, dx) in pixels.
        threshold: length under which a displacement is weak, in pixels.

    Returns:
        (h, w) int64 on the CPU, the instances 0…n − 1. Pixels whose centroid lies in no weak patch form one
        instance, the first.
    """
    strength = (displacement.cpu() ** 2).sum(0).sqrt()
    patches = connected_components(strength < threshold)
    y, x = centroids.cpu().long()
    instance_map: torch.Tensor = torch.unique(patches[y, x], return_inverse=True)[1]
    return instance_map
