"""The losses of IRNet as published: one gather of every pixel on the path of every pair, by tables of indices."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from irnet_pipe.numerics.affinity import path_offsets

EPSILON = 1e-5


@lru_cache
def _tables(height: int, width: int, radius: int) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """sources (s,), targets (offsets, s), offsets (offsets, 2), and a table (group, length, s) per path length."""
    reach = radius - 1
    pixels = np.arange(height * width).reshape(height, width)

    def at(dy: int, dx: int) -> np.ndarray:
        return pixels[dy : height - reach + dy, reach + dx : width - reach + dx].ravel()

    pairs = sorted(path_offsets(radius), key=lambda pair: len(pair[1]))
    lengths = sorted({len(path) for _, path in pairs})
    groups = [
        np.array([[at(dy, dx) for dy, dx in path] for _, path in pairs if len(path) == length])
        for length in lengths
    ]
    targets = np.array([at(dy, dx) for (dy, dx), _ in pairs])
    offsets = np.array([offset for offset, _ in pairs])
    return (
        torch.from_numpy(at(0, 0)),
        torch.from_numpy(targets),
        torch.from_numpy(offsets),
        [torch.from_numpy(group) for group in groups],
    )


def relation_losses(boundary_logit: Tensor, displacement: Tensor, label: Tensor, *, radius: int) -> Tensor:
    """Total loss of (n, 1, h, w) logits, (n, 2, h, w) displacements and (n, h, w) labels."""
    n, height, width = label.shape
    sources, targets, offsets, groups = _tables(height, width, radius)
    boundary = torch.sigmoid(boundary_logit).flatten(1)
    affinity = 1 - torch.cat(
        [boundary[:, group.flatten()].view(n, *group.shape).max(dim=2).values for group in groups], dim=1
    )
    labels = label.flatten(1)
    here, there = labels[:, sources][:, None], labels[:, targets.flatten()].view(n, *targets.shape)
    sure = (here != 255) & (there != 255)
    background, foreground, negative = (
        (sure & chosen).float()
        for chosen in ((here == there) & (here == 0), (here == there) & (here != 0), here != there)
    )
    fields = displacement.flatten(2)
    steps = fields[:, :, sources][:, :, None] - fields[:, :, targets.flatten()].view(n, 2, *targets.shape)
    towards = (steps - offsets.T[None, :, :, None].to(steps.dtype)).abs().sum(1) / 2
    apart = steps.abs().sum(1) / 2

    def mean(loss: Tensor, members: Tensor) -> Tensor:
        return (loss * members).sum() / (members.sum() + EPSILON)

    close = -torch.log(affinity + EPSILON)
    return (
        (mean(close, background) + mean(close, foreground)) / 4
        + mean(-torch.log(1 + EPSILON - affinity), negative) / 2
        + (mean(towards, foreground) + mean(apart, background)) / 2
    )
