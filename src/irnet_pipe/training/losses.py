"""The losses of IRNet and of AffinityNet: means over pairs of pixels whose labels are confident.

Ahn et al. 2019, sec. 4.2; Ahn and Kwak 2018, sec. 3.2.
"""

import torch
from torch import Tensor

from irnet_pipe.numerics.feature_affinity import feature_affinity
from irnet_pipe.numerics.relation_pairs import EPSILON, TERMS, affinity_sums, relation_sums
from irnet_pipe.runtime.collectives import n_ranks, sum_over_ranks

TERM_WEIGHTS = {"pos_bg": 0.25, "pos_fg": 0.25, "neg": 0.5, "disp_bg": 0.5, "disp_fg": 0.5}
"""Share of each loss in the total."""


def relation_losses(
    boundary_logit: Tensor, displacement: Tensor, label: Tensor, *, radius: int
) -> dict[str, Tensor]:
    """Compute the losses over all pairs of pixels closer than `radius`, in the whole batch.

    Args:
        boundary_logit: (n, 1, h, w), before the sigmoid.
        displacement: (n, 2, h, w), (dy, dx) in pixels of this grid.
        label: (n, h, w), integer: 0 background, 255 neutral, any other value a class.
        radius: strict bound of the distance of a pair, in pixels of this grid.

    Returns:
        float32 scalars: 'pos_bg', 'pos_fg', 'neg' (affinity of background, same-class and different pairs),
        'disp_bg', 'disp_fg' (displacement of the first two) and 'total', their weighted sum. A loss without
        pairs is 0. Of several ranks each gives the part of its images, such that the mean over ranks is the loss
        over the pairs of all of them.

    Raises:
        ValueError: the grid is too small to hold a pair.
    """
    boundary = torch.sigmoid(boundary_logit.float().squeeze(1))
    sums, pairs = relation_sums(boundary, displacement.float(), label, radius=radius)
    return _weighted_means(sums, pairs)


def affinity_losses(features: Tensor, label: Tensor, *, radius: int) -> dict[str, Tensor]:
    """Compute the losses of affinity alone, where affinities are those of features.

    Args:
        features: (n, c, h, w).
        label: (n, h, w), as for `relation_losses`.
        radius: as for `relation_losses`.

    Returns:
        'pos_bg', 'pos_fg', 'neg' and 'total', as `relation_losses` does.

    Raises:
        ValueError: the grid is too small to hold a pair.
    """
    affinity = feature_affinity(features.float(), radius=radius)
    return _weighted_means(*affinity_sums(affinity, label, radius=radius))


def _weighted_means(sums: Tensor, pairs: Tensor) -> dict[str, Tensor]:
    """The means of the first terms, and their weighted sum."""
    means = n_ranks() * sums / (sum_over_ranks(pairs) + EPSILON)
    losses = dict(zip(TERMS[: len(means)], means, strict=True))
    total = torch.stack(
        [weight * losses[term] for term, weight in TERM_WEIGHTS.items() if term in losses]
    ).sum()
    return {**losses, "total": total}
