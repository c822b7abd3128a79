"""One permutohedral lattice around the pixels of several photos; see `numerics.permutohedral`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import embedding_bag, pad

from irnet_pipe.numerics.permutohedral import key_digits, lattice_scale

WHOLE = 65535
"""What the weights of a pixel sum to: they are rounded as those of the other form, for results nearer to its."""


@dataclass(frozen=True)
class Lattice:
    """The V vertices around the N pixels of all photos, points in d dimensions; photos share no vertex.

    A pixel takes 16·(d + 1) bytes, a vertex 8·(d + 1) + 4.

    Attributes:
        vertex: (d + 1, N) int32, the vertices of each pixel's simplex.
        weight: (d + 1, N) float32, what each of them counts for the pixel.
        pixel: (N·(d + 1),) int32, the pixels of each vertex, one vertex after the other.
        share: (N·(d + 1),) float32, what each of them counts for the vertex.
        begin: (V + 2,) int32, where in `pixel` each vertex begins; one without pixels ends the row.
        before: (d + 1, V) int32, the neighbour of each vertex along each axis, V where there is none.
        after: (d + 1, V) int32, the same in the other direction.
    """

    vertex: torch.Tensor
    weight: torch.Tensor
    pixel: torch.Tensor
    share: torch.Tensor
    begin: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor

    def scaled(self, factor: torch.Tensor) -> "Lattice":
        """The lattice that multiplies values by a factor (N,) float32 of each pixel before and after."""
        share = self.share * factor.index_select(0, self.pixel)
        return replace(self, weight=self.weight * factor, share=share)

    def add_filtered(self, values: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        """Splat, blur and slice values (N, channels) float32, and add the result to `total`, which is returned."""
        # a sum over the pixels of each vertex in their order: the same bits in every run, which atomic additions on
        # a CUDA device would not give; and no array of N·(d + 1) products
        at = embedding_bag(
            self.pixel,
            values,
            self.begin,
            mode="sum",
            per_sample_weights=self.share,
            include_last_offset=True,
        )
        for before, after in zip(self.before, self.after, strict=True):
            # the last row stays zero: what is read where there is no neighbour
            around = at.index_select(0, before).add_(at.index_select(0, after))
            at[:-1].add_(around, alpha=0.5)
        for vertex, weight in zip(self.vertex, self.weight, strict=True):
            total.addcmul_(at.index_select(0, vertex), weight[:, None])
        return total


def build_lattice(photos: Sequence[torch.Tensor], *, sxy: float, srgb: float = 1) -> Lattice:
    """Build the lattice around the pixels of all photos, points in position and colour.

    Takes some 60·(d + 1) bytes a pixel of the device's memory beside the lattice.

    Args:
        photos: (H, W, C) uint8 each, at least one; without channels (C = 0) the points are in position alone.
        sxy: standard deviation of the filter in position, in pixels.
        srgb: the same in each channel, in levels of 0…255.

    Returns:
        The lattice of all pixels, photo by photo, in d = 2 + C dimensions.

    Raises:
        ValueError: the photos span too many standard deviations to number the vertices in 63 bits.
    """
    channels = photos[0].shape[2]
    scale = lattice_scale(2 + channels)
    height, width = (max(photo.shape[axis] for photo in photos) for axis in (0, 1))
    reach = np.array([width / sxy, height / sxy] + [255 / srgb] * channels)
    stride, step = key_digits(reach * scale)
    span = int(stride[-1]) * int(stride[1])
    if span * len(photos) >= 2**63:
        raise ValueError(f"vertices of {len(photos)} photos need {span} numbers each: take fewer at once")
    sizes = torch.tensor([photo.shape[0] * photo.shape[1] for photo in photos], device=photos[0].device)
    first_key = torch.arange(len(photos), device=sizes.device).mul_(span).repeat_interleave(sizes)
    steps = torch.from_numpy(step).to(sizes.device)
    keys, weight = _corners(_features(photos, sxy, srgb), scale, first_key, stride.tolist(), steps)
    return _connect(keys, weight, steps)


def _features(photos: Sequence[torch.Tensor], sxy: float, srgb: float) -> torch.Tensor:
    """(d, N) float32, position and colour of all pixels in standard deviations."""
    device = photos[0].device
    parts = []
    for photo in photos:
        height, width, channels = photo.shape
        y, x = torch.arange(height, device=device), torch.arange(width, device=device)
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
        parts.append(torch.cat([grid, photo], 2).reshape(height * width, 2 + channels).T.float())
    # a tensor on the device: by a number, CUDA would multiply by its inverse
    deviation = torch.tensor([sxy, sxy] + [srgb] * photos[0].shape[2], dtype=torch.float32, device=device)
    return torch.cat(parts, 1) / deviation[:, None]


def _corners(
    feature: torch.Tensor,
    scale: Sequence[np.float32],
    first_key: torch.Tensor,
    stride: Sequence[int],
    step: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(d + 1, N) int64 keys of the corners of the simplex around each point, and (d + 1, N) float32 their weights.

    The arithmetic is that of the other form, operation by operation; `_enclose` there tells the meaning.
    """
    d = len(feature)
    inverse = float(np.float32(1) / np.float32(d + 1))
    elevated = _elevate(feature, scale)
    multiple = (elevated * inverse).round_()
    nearest = multiple * (d + 1)
    place = _rank(elevated - nearest) + multiple.sum(0).int()
    # back into the plane of coordinates that sum to 0
    wraps = ((place < 0).int() - (place > d).int()) * (d + 1)
    place += wraps
    nearest += wraps
    axis = torch.arange(d + 1, device=feature.device)[:, None].expand(place.shape)
    # from the last place to the first
    axis = torch.empty_like(place, dtype=torch.int64).scatter_(0, d - place.long(), axis)
    share = ((elevated - nearest) * inverse).gather(0, axis)
    weight = share.clone()
    weight[1:] -= share[:-1]
    weight[0] += 1 - share[d]
    # rounding errors reach below 0
    weight = (weight.clamp_(min=0) * WHOLE + 0.5).floor_()
    for coordinate, digit in zip(nearest[:d], stride, strict=True):
        first_key = first_key + coordinate.long() * digit
    keys = first_key + pad(step[axis[:d]].cumsum(0), (0, 0, 1, 0))
    return keys, weight


def _elevate(feature: torch.Tensor, scale: Sequence[np.float32]) -> torch.Tensor:
    """(d, N) features → (d + 1, N) coordinates that sum to 0."""
    total = torch.zeros_like(feature[0])
    elevated = []
    for j in range(len(feature), 0, -1):
        scaled = feature[j - 1] * float(scale[j - 1])
        elevated.append(total - j * scaled)
        total = total + scaled
    return torch.stack([total, *reversed(elevated)])


def _rank(offset: torch.Tensor) -> torch.Tensor:
    """(d + 1, N) int32, the place of each row among the rows at a point, the largest first; of equals the first."""
    rank = torch.zeros_like(offset, dtype=torch.int32)
    for i in range(len(offset)):
        for j in range(i + 1, len(offset)):
            below = offset[i] < offset[j]
            rank[i] += below
            rank[j] += ~below
    return rank


def _connect(keys: torch.Tensor, weight: torch.Tensor, step: torch.Tensor) -> Lattice:
    """The lattice of the corners of all points, from keys (d + 1, N) int64 and weights."""
    n_points = keys.shape[1]
    sorted_keys, order = keys.flatten().sort(stable=True)
    found, sorted_vertex, count = torch.unique_consecutive(
        sorted_keys, return_inverse=True, return_counts=True
    )
    vertex = torch.empty_like(order, dtype=torch.int32)
    vertex[order] = sorted_vertex.int()
    return Lattice(
        vertex.reshape(keys.shape),
        weight,
        pixel=(order % n_points).int(),
        share=weight.flatten()[order],
        begin=pad(pad(count.cumsum(0), (1, 0)), (0, 1), value=len(order)).int(),
        before=_neighbours(found, -step),
        after=_neighbours(found, step),
    )


def _neighbours(keys: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """(d + 1, V) int32, where among ascending keys (V,) lies each key + step (d + 1,); V where it is none of them."""
    n = len(keys)
    rows = []
    for one in step:
        wanted = keys + one
        place = torch.searchsorted(keys, wanted, out_int32=True)
        rows.append(place.masked_fill_(keys[place.clamp(max=n - 1)] != wanted, n))
    return torch.stack(rows)
