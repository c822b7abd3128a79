"""What the backbone of a training starts from."""

from __future__ import annotations

from torch import nn

from irnet_pipe.artifacts.weights import load_weights, read_weights
from irnet_pipe.errors import told_of
from irnet_pipe.models.backbone import pretrained_state
from irnet_pipe.runtime.job import Job

PREFIX = "backbone."
"""Of the backbone's keys in a classifier's state dict."""


def load_initial_weights(job: Job, backbone: nn.Module, *, section: str) -> None:
    """Load what `<section>.weights` names into a backbone whose parameters have torchvision's names.

    Args:
        job: of a training.
        backbone: of the architecture `<section>.backbone`.
        section: of the config: cam, irnet, affinitynet, maskrcnn or deeplab.

    Raises:
        InputError: no such weights, or those of another architecture.
    """
    weights = job.record.files.get(f"{section}.weights") or job.setting(f"{section}.weights") or "none"
    if weights == "cam":
        source = job.parent("train_cam")
        state = read_weights(source, kind="cam").state_dict
        of_backbone = {key.removeprefix(PREFIX): state[key] for key in state if key.startswith(PREFIX)}
        load_weights(backbone, of_backbone, source=source)
        return
    with told_of(f"{section}.weights"):
        pretrained = pretrained_state(job.setting(f"{section}.backbone"), weights)
    if pretrained is not None:
        backbone.load_state_dict(pretrained)
