"""Batch normalisation whose statistics are those of the global batch, on any device."""

import torch
from torch import Tensor, nn

from irnet_pipe.runtime.collectives import mean_over_ranks, n_ranks


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` that several ranks with equal parts of a batch compute as one process would.

    torch's own `SyncBatchNorm` has no kernel for the CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (n, c, h, w) of this rank; in training by the statistics of all ranks' images."""
        if not self.training or n_ranks() == 1:
            return super().forward(input)
        x = input.float()
        mean = mean_over_ranks(x.mean((0, 2, 3)))
        centred = x - mean[:, None, None]
        variance = mean_over_ranks(centred.square().mean((0, 2, 3)))
        self._gather(mean.detach(), variance.detach(), count=n_ranks() * input[:, 0].numel())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _gather(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        """Update the running statistics; the variance in them is the unbiased one."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


def with_global_statistics(module: nn.Module) -> nn.Module:
    """The module, each BatchNorm of which has become one whose statistics are those of all ranks."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, GlobalBatchNorm2d(child.num_features, child.eps, child.momentum))
        else:
            with_global_statistics(child)
    return module
