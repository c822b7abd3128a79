"""Refinement of displacement fields into centroids, several at once; see `numerics.displacement`."""

from collections.abc import Sequence

import torch

STEPS = 8
"""Taken between two looks at which pixels still move; each look has the host wait for the device."""


def refine_centroids(
    displacements: Sequence[torch.Tensor], *, max_iterations: int = 300
) -> list[torch.Tensor]:
    """Follow displacement fields from every pixel to the centroid of its instance.

    Equal to `numerics.displacement.refine_centroids` of each field. Takes some 400 bytes a pixel of the device's
    memory.

    Args:
        displacements: (2, h, w) float32 each, (dy, dx) in pixels of the grid, finite; sizes may differ, the device
            may not.
        max_iterations: steps; most pixels come to rest in far fewer.

    Returns:
        (2, h, w) int64 for each field, (y, x) of the centroid that each pixel points to, rounded half to even.

    Raises:
        ValueError: a displacement is not finite.
    """
    if not displacements:
        return []
    field = torch.cat([one.detach().float().flatten(1).T for one in displacements])
    if not field.isfinite().all():
        # a position that is not a number would be read as an index
        number = next(i for i, one in enumerate(displacements) if not one.isfinite().all())
        raise ValueError(
            f"photo {number}: displacement holds values that are not finite: the boundary of each is ±3.4e38"
        )
    sizes = [(one.shape[1], one.shape[2]) for one in displacements]
    centroids = _follow(field, *_places(sizes, field.device), max_iterations).round().long()
    parts = torch.split(centroids, [height * width for height, width in sizes])
    return [part.T.reshape(2, *size) for part, size in zip(parts, sizes, strict=True)]


def _places(
    sizes: Sequence[tuple[int, int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of all P pixels own (y, x) and the field's last, both (P, 2) float32, and its first pixel, (P,) int64."""
    own, last, first = [], [], []
    before = 0
    for height, width in sizes:
        area = height * width
        pixel = torch.arange(area, device=device)
        own.append(torch.stack([pixel // width, pixel % width], 1).float())
        last.append(torch.tensor([height - 1.0, width - 1.0], device=device).expand(area, 2))
        first.append(torch.full((area,), before, device=device))
        before += area
    return torch.cat(own), torch.cat(last), torch.cat(first)


def _follow(
    field: torch.Tensor, position: torch.Tensor, last: torch.Tensor, first: torch.Tensor, max_iterations: int
) -> torch.Tensor:
    """(P, 2) float32 positions after all steps along the field (P, 2)."""
    result = position.clone()
    pixel = torch.arange(len(position), device=position.device)
    before = older = position
    for done in range(0, max_iterations, STEPS):
        steps = min(STEPS, max_iterations - done)
        for _ in range(steps):
            older, before, position = before, position, _step(field, position, last, first)
        left = max_iterations - done - steps
        # at rest or in a cycle of two positions, the parity of the steps left tells which one is the last
        result[pixel] = before if left % 2 else position
        moving = (position != older).any(1).nonzero()[:, 0]
        if not len(moving):
            break
        position, before, last, first, pixel = (
            each[moving] for each in (position, before, last, first, pixel)
        )
    return result


def _step(
    field: torch.Tensor, position: torch.Tensor, last: torch.Tensor, first: torch.Tensor
) -> torch.Tensor:
    """One step. Positions are float32 and the interpolation float64, in the order of terms of the other form.

    Few operations on all corners and both axes together: the start of an operation on the device takes longer
    than these small ones do. None of them may fuse a product with a sum, which rounds otherwise.
    """
    low = position.floor()
    corner = torch.stack([position.ceil(), low]).long()
    row = first + corner[..., 0] * (last[:, 1].long() + 1)
    value = field[row[:, None] + corner[None, :, :, 1]]  # (bottom or top, right or left, P, 2)
    part = position.double() - low
    share = torch.stack([part, 1 - part])
    term = value * share[:, None, :, :1] * share[None, :, :, 1:]
    moved = position + (term[0, 0] + term[0, 1] + term[1, 0] + term[1, 1])
    return torch.minimum(moved.float().clamp(min=0), last)
