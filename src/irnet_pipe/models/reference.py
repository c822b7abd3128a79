"""Import of state dicts that the reference implementation saves (`res50_cam`, `res50_irn`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irnet_pipe.artifacts.weights import first_mismatch, read_state_dict, write_weights
from irnet_pipe.errors import InputError
from irnet_pipe.models.cam_net import CamNet
from irnet_pipe.models.irnet import IRNet

BACKBONE = "resnet50"

# second names of tensors that the file holds anyway, and buffers of training that hold nothing learnt
_IGNORED = re.compile(
    r"(stage\d|backbone|newly_added|edge_layers|dp_layers|fc_dp7\.4|mean_shift)\.|(path_indices|disp_target|ind_)"
)
_MEAN_DISPLACEMENT = "mean_shift.running_mean"

_PROJECTIONS = {
    **{f"boundary.levels.{i}": f"fc_edge{i + 1}" for i in range(5)},
    **{f"displacement.levels.{i}": f"fc_dp{i + 1}" for i in range(5)},
    "displacement.deep": "fc_dp6",
    "displacement.joint": "fc_dp7",
}
_MODULES = {
    "backbone": "resnet50",
    "classifier": "classifier",
    "boundary.logit": "fc_edge6",
    "displacement.field": "fc_dp7.3",
    **{f"{ours}.conv": f"{theirs}.0" for ours, theirs in _PROJECTIONS.items()},
    **{f"{ours}.norm": f"{theirs}.1" for ours, theirs in _PROJECTIONS.items()},
}


@dataclass(frozen=True, slots=True)
class ReferenceWeights:
    """Weights of the reference under our names.

    Attributes:
        kind: 'cam' or 'irnet'.
        state_dict: for `CamNet` or `IRNet` on `BACKBONE`.
        n_classes: of a classifier; None for IRNet.
        mean_displacement: (2,) (dy, dx), to be subtracted from displacements; None where the file holds none.
    """

    kind: str
    state_dict: dict[str, Tensor]
    n_classes: int | None = None
    mean_displacement: Tensor | None = None


def from_reference(state_dict: Mapping[str, Tensor], *, source: Path) -> ReferenceWeights:
    """Recognise and rename a state dict of the reference.

    Args:
        state_dict: as the reference saves it, with or without the second names of its tensors.
        source: the file it came from, for messages.

    Raises:
        InputError: neither of the two networks, or a key is missing, unknown or of another shape.
    """
    if "classifier.weight" in state_dict:
        n_classes = len(state_dict["classifier.weight"])
        with torch.device("meta"):
            network = CamNet(BACKBONE, n_classes).state_dict()
        return ReferenceWeights("cam", _rename(network, state_dict, source=source), n_classes)
    if "fc_edge6.weight" in state_dict:
        with torch.device("meta"):
            network = IRNet(BACKBONE).state_dict()
        renamed = _rename(network, state_dict, source=source)
        return ReferenceWeights("irnet", renamed, mean_displacement=state_dict.get(_MEAN_DISPLACEMENT))
    raise InputError(
        f"{source}: no state dict of the reference: key classifier.weight (res50_cam) or fc_edge6.weight "
        "(res50_irn) expected, neither found; give a file that its training has saved"
    )


def _rename(
    network: Mapping[str, Tensor], state_dict: Mapping[str, Tensor], *, source: Path
) -> dict[str, Tensor]:
    names = {key: _reference_key(key) for key in network}
    expected = {names[key]: tensor for key, tensor in network.items()}
    found = {key: tensor for key, tensor in state_dict.items() if not _IGNORED.match(key)}
    mismatch = first_mismatch(expected, found)
    if mismatch is not None:
        raise InputError(
            f"{source}: no state dict of the reference: {mismatch}; give a file that its training has saved"
        )
    return {key: found[name] for key, name in names.items() if name in found}


def _reference_key(key: str) -> str:
    module = next(module for module in _MODULES if key.startswith(f"{module}."))
    return _MODULES[module] + key.removeprefix(module)


def import_weights(source: Path, output: Path) -> ReferenceWeights:
    """Turn a state dict of the reference into a weights file of ours.

    Args:
        source: what the reference saved (`res50_cam.pth`, `res50_irn.pth`).
        output: weights file to write, for cam.trained or irnet.trained.

    Raises:
        InputError: not a state dict of the reference.
    """
    weights = from_reference(read_state_dict(source), source=source)
    header: dict[str, Any] = {"kind": weights.kind, "backbone": BACKBONE, "imported-from": source.name}
    if weights.n_classes is not None:
        header["classes"] = weights.n_classes
    write_weights(output, header=header, state_dict=weights.state_dict, history={})
    return weights
