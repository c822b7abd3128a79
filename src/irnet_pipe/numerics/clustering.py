"""From centroids to a class-agnostic instance map (Ahn et al. 2019, sec. 4.1)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def connected_components(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """4-connected components of a mask.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) int32: 0 outside of the mask, 1…n the components, in raster order of their first pixels.
    """
    components, _ = ndimage.label(mask)
    return components.astype(np.int32, copy=False)


def cluster_centroids(
    centroids: npt.NDArray[np.integer[Any]], displacement: npt.NDArray[np.float32], *, threshold: float = 2.5
) -> npt.NDArray[np.int64]:
    """Group the pixels whose centroids lie in one patch of weak displacement.

    Args:
        centroids: (2, h, w) int, (y, x) as `refine_centroids` returns them.
        displacement: (2, h, w) float32, (dy, dx) in pixels.
        threshold: length under which a displacement is weak, in pixels.

    Returns:
        (h, w) int64, the instances 0…n − 1. Pixels whose centroid lies in no weak patch form one instance,
        the first.
    """
    strength = np.sqrt(np.square(displacement).sum(axis=0))
    patches = connected_components(strength < threshold)
    y, x = centroids
    _, instance_map = np.unique(patches[y, x], return_inverse=True)
    return instance_map.reshape(y.shape)
