"""Where the backbone of a segmenter starts from."""

from __future__ import annotations

from irnet_pipe.artifacts.weights import load_weights, read_weights
from irnet_pipe.models.backbone import pretrained_state
from irnet_pipe.models.segmenter import Segmenter
from irnet_pipe.runtime.job import Job

PREFIX = "backbone."
"""Of the backbone's keys in a classifier's state dict."""


def load_initial_weights(job: Job, model: Segmenter, *, section: str) -> None:
    """Load the backbone's initial weights: those that `<section>.weights` names, or of the run's classifier.

    Raises:
        InputError: there are none of that name, or they are of another backbone.
    """
    weights = job.record.files.get(f"{section}.weights") or job.setting(f"{section}.weights") or "none"
    if weights == "cam":
        source = job.parent("train_cam")
        state = read_weights(source, kind="cam").state_dict
        of_backbone = {key.removeprefix(PREFIX): state[key] for key in state if key.startswith(PREFIX)}
        load_weights(model.body, of_backbone, source=source)
        return
    pretrained = pretrained_state(job.setting(f"{section}.backbone"), weights)
    if pretrained is not None:
        model.load_backbone(pretrained)
