"""Random walk of class scores over the affinities of boundary maps, several at once; see `numerics.random_walk`."""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from irnet_pipe.numerics.random_walk import check_steps, walk_among_open


def propagate(
    scores: Sequence[torch.Tensor],
    boundaries: Sequence[torch.Tensor],
    *,
    radius: int = 5,
    beta: float = 10,
    exp_times: int = 8,
) -> list[torch.Tensor]:
    """Spread the scores of each photo by 2**exp_times steps of a random walk that its boundaries hold back.

    Computed on the device of the first scores, not differentiable. The photos are stacked to one tall map, as wide
    as the widest; with radius 5 a pixel of it takes some 450 bytes of the device's memory, and 50 for each map.

    Args:
        scores: (m, h, w) score maps of each photo; multiplied by 1 − boundary before the walk.
        boundaries: (h, w) boundary map in [0, 1] of each photo; outside of it all is boundary.
        radius: strict bound on the distance between the pixels of a step; at least 2.
        beta: power of the affinities, at least 0.
        exp_times: binary logarithm of the number of steps, at least 0.

    Returns:
        (m, h, w) float32 for each photo, within 1e-4 of its maximum equal to `numerics.random_walk.propagate`.

    Raises:
        ValueError: `radius` is under 2, `exp_times` under 0, or there are more scores than boundaries or fewer.
    """
    check_steps(exp_times)
    if len(scores) != len(boundaries):
        raise ValueError(f"scores of {len(scores)} photos, but boundaries of {len(boundaries)}")
    if not scores:
        return []
    most, widest = max(map(len, scores)), max(score.shape[2] for score in scores)
    starts, opens = [], []
    for score, boundary in zip(scores, boundaries, strict=True):
        openness = 1 - boundary.to(scores[0].device, torch.float32)
        # no step is longer than the rows below each photo; zeros after the power, for 0**0 is 1
        room = (0, widest - score.shape[2], 0, radius - 1)
        starts.append(pad(score.float() * openness, (*room, 0, most - len(score))))
        opens.append(pad(openness**beta, room))
    spread = walk_among_open(torch.cat(starts, 1), torch.cat(opens), radius=radius, steps=2**exp_times)
    parts = torch.split(spread, [start.shape[1] for start in starts], dim=1)
    return [
        part[: len(score), : score.shape[1], : score.shape[2]].contiguous()
        for part, score in zip(parts, scores, strict=True)
    ]
