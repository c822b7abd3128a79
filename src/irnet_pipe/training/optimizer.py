"""The optimiser: groups of parameters with a peak learning rate each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def make_optimizer(
    groups: Mapping[str, list[nn.Parameter]], peak: Mapping[str, float], *, settings: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """SGD or AdamW.

    Args:
        groups: parameters by name of their group.
        peak: learning rate by name of the group, scaled from step to step by `set_learning_rate`.
        settings: `optimizer` (sgd or adamw), `momentum` (of SGD), `weight_decay`.
    """
    parameters = [
        {"name": name, "params": groups[name], "lr": peak[name], "peak_lr": peak[name]} for name in groups
    ]
    if settings["optimizer"] == "adamw":
        return torch.optim.AdamW(parameters, weight_decay=settings["weight_decay"])
    return torch.optim.SGD(parameters, momentum=settings["momentum"], weight_decay=settings["weight_decay"])


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
