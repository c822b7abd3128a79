"""Instances as the published implementation detects them: all maps at full size, all masks at full size."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional


def enlarge(score: torch.Tensor, *, size: tuple[int, int], bg_threshold: float) -> torch.Tensor:
    """(n, h, w) maps at stride 4 → background and maps (1 + n, H, W), divided by their maximum."""
    enlarged = functional.interpolate(score[None], scale_factor=4, mode="bilinear", align_corners=False)
    enlarged = enlarged[0, :, : size[0], : size[1]]
    background = enlarged.new_full((1, *size), bg_threshold)
    return torch.cat([background, enlarged / enlarged.max()])


def detect(
    score: torch.Tensor, *, size: tuple[int, int], bg_threshold: float, min_area: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, h, w) maps at stride 4 → scores (m,), masks (m, H, W) bool, number of the map (m,)."""
    enlarged = enlarge(score, size=size, bg_threshold=bg_threshold)
    labels = enlarged.argmax(0).numpy()
    scores, masks, numbers = [], [], []
    one_hot = labels[None] == np.arange(1, len(score) + 1)[:, None, None]
    for number, (mask, map_) in enumerate(zip(one_hot, enlarged[1:].numpy(), strict=True)):
        components, count = ndimage.label(mask)
        for component in range(1, count + 1):
            inside = components == component
            scores.append((map_ * inside).max() if inside.sum() >= min_area else 0.0)
            masks.append(inside)
            numbers.append(number)
    return np.array(scores, np.float32), np.stack(masks), np.array(numbers)
