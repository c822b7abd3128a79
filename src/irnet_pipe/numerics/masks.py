"""Label maps of scores, and scored instances (Ahn et al. 2019, sec. 4.2), of tensors."""

import torch

from irnet_pipe.numerics.label_maps import label_scores, mask_fragments


def decode_maps(
    score: torch.Tensor,
    *,
    size: tuple[int, int],
    full_size: tuple[int, int] | None = None,
    bg_threshold: float,
) -> torch.Tensor:
    """Label each pixel with the map of the highest score, or as background; see `label_maps.label_scores`.

    Returns:
        (H0, W0) int32 on the CPU, 0 background, i + 1 map i.
    """
    labels, _ = label_scores(
        score.cpu().float().numpy(), size=size, full_size=full_size, bg_threshold=bg_threshold
    )
    return torch.from_numpy(labels)


def detect_instances(
    score_maps: torch.Tensor, masks: torch.Tensor, class_id: torch.Tensor, *, min_area: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split masks into their 4-connected components, each scored by its largest score.

    Args:
        score_maps: (n, H, W) float32, non-negative.
        masks: (n, H, W) bool; they may overlap.
        class_id: (n,) int64.
        min_area: components of fewer pixels get score 0.

    Returns:
        `scores` (m,) float32, `masks` (m, H, W) bool, `class_id` (m,) int64, on the CPU; in the order of the
        maps, then in raster order of the components' first pixels.
    """
    found = [
        fragment
        for index, (score, mask) in enumerate(zip(score_maps.cpu().numpy(), masks.cpu().numpy(), strict=True))
        for fragment in mask_fragments(index, mask, score, min_area=min_area)
    ]
    full = torch.zeros(len(found), *masks.shape[1:], dtype=torch.bool)
    for row, fragment in zip(full, found, strict=True):
        height, width = fragment.mask.shape
        row[fragment.top : fragment.top + height, fragment.left : fragment.left + width] = torch.from_numpy(
            fragment.mask
        )
    scores = torch.tensor([fragment.score for fragment in found], dtype=torch.float32)
    return scores, full, class_id.cpu()[[fragment.index for fragment in found]]
