"""A trained segmenter as an ONNX file: raw photos of a fixed size in, instances or class probabilities out.

The network and its normalisation are in the graph; scaling photos, further scales, mirroring and the CRF are not.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from irnet_pipe import __version__
from irnet_pipe.artifacts.io import atomic_path
from irnet_pipe.data.photos import IMAGENET_DEVIATION, IMAGENET_MEAN, load_photo
from irnet_pipe.deployment.trained import TrainedSegmenter
from irnet_pipe.errors import InputError
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.inference import LIMITS
from irnet_pipe.models.mask_rcnn import MaskRcnn
from irnet_pipe.text_files import replace_text

OPSET = 17
INPUT = "photo"
TOLERANCE = {"boxes": 0.05, "scores": 1e-3, "masks": 1e-2, "probabilities": 1e-3}
"""Largest deviation from torch: of boxes in pixels, of the others in probability."""
OUTPUTS = {
    "maskrcnn": {
        "boxes": "float32 (n, 4): x0, y0, x1, y1 in pixels",
        "labels": "int64 (n,): place in classes",
        "scores": "float32 (n,): descending",
        "masks": "float32 (n, H, W): probability; a pixel from .5 on belongs to the instance",
    },
    "deeplab": {"probabilities": "float32 (1, classes, H, W): of each class, summing to 1"},
}

Arrays = dict[str, NDArray[Any]]


class DeviationError(Exception):
    """What onnxruntime computes is not what torch does."""


@dataclass(frozen=True)
class Comparison:
    """What onnxruntime computes beside torch.

    Attributes:
        deviations: output → largest difference.
        instances: that were compared; none for DeepLab.
    """

    deviations: dict[str, float]
    instances: int | None


class InstanceGraph(nn.Module):
    """Raw photo (1, 3, H, W) in 0…1 → boxes, labels, scores and masks as in `OUTPUTS`."""

    def __init__(self, model: MaskRcnn) -> None:
        super().__init__()
        self.model = model

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Instances, best first."""
        found = self.model.detect(photo[0])
        size = (int(photo.shape[-2]), int(photo.shape[-1]))
        return found.box, found.class_id + 1, found.score, paste_masks(found.mask, found.box, size=size)


class SemanticGraph(nn.Module):
    """Raw photo (1, 3, H, W) in 0…1 → probabilities (1, 1 + c, H, W)."""

    def __init__(self, model: DeepLab) -> None:
        super().__init__()
        self.model = model
        self.mean, self.deviation = (
            torch.tensor(value)[:, None, None] for value in (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )

    def forward(self, photo: Tensor) -> Tensor:
        """Probabilities of each pixel."""
        logits: Tensor = self.model((photo - self.mean) / self.deviation)
        return logits.softmax(dim=1)


def paste_masks(mask: Tensor, box: Tensor, *, size: tuple[int, int]) -> Tensor:
    """What torchvision's `paste_masks_in_image` makes, without its loop, which grows with the square of n in ONNX.

    Args:
        mask: (n, 1, m, m) probabilities within the boxes.
        box: (n, 4) x0, y0, x1, y1 in pixels.
        size: (H, W) of the photo.

    Returns:
        (n, H, W) probabilities, 0 beyond the boxes.
    """
    inner = int(mask.shape[-1])
    side = inner + 2  # a border of zeros, as torchvision has it
    centre, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2 * (side / inner)
    first, last = (corner.long().to(box.dtype) for corner in (centre - half, centre + half))
    across, down = (
        _weights(first[:, axis], last[:, axis], side=side, length=length)
        for axis, length in ((0, size[1]), (1, size[0]))
    )
    padded = F.pad(mask[:, 0], (1, 1, 1, 1))
    return down @ padded @ across.transpose(1, 2)


def _weights(first: Tensor, last: Tensor, *, side: int, length: int) -> Tensor:
    """(n, length, side): weight of each row of a mask in each row of the photo, by linear interpolation."""
    at = torch.arange(length, device=first.device, dtype=first.dtype)[None]
    first, last = first[:, None], last[:, None]
    scale = side / (last - first + 1).clamp(min=1)
    source = ((at - first + 0.5) * scale - 0.5).clamp(0, side - 1)
    rows = torch.arange(side, device=first.device, dtype=first.dtype)
    near = (1 - (source[:, :, None] - rows).abs()).clamp(min=0)
    return near * ((at >= first) & (at <= last))[:, :, None]


def export_onnx(
    trained: TrainedSegmenter, to: Path, *, size: tuple[int, int], photo: Path | None = None
) -> Comparison | None:
    """Write an ONNX file, and beside it a json that tells classes, input and outputs.

    Args:
        trained: the segmenter.
        to: the file.
        size: (H, W) of the photos that it will take.
        photo: on which it is compared with torch; random noise if None.

    Returns:
        how it compares with torch; None without onnxruntime.

    Raises:
        InputError: onnx is not installed, or the weights or the photo cannot be used.
        DeviationError: some deviation is above `TOLERANCE`; there is no file then.
    """
    onnx = _onnx()
    graph, sample = _graph(trained), _sample(photo, size)
    facts = _facts(trained, size)
    with atomic_path(to) as temporary:
        _trace(graph, sample, temporary, outputs=list(OUTPUTS[trained.kind]))
        model = onnx.load(temporary)
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
        onnx.helper.set_model_props(model, texts)
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
        comparison = _compare(graph, temporary, sample, outputs=list(OUTPUTS[trained.kind]))
    replace_text(to.with_suffix(".json"), json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return comparison


def _onnx() -> Any:
    try:
        return import_module("onnx")
    except ImportError:
        raise InputError(
            "export-model --onnx needs onnx, which is not installed: pip install onnx onnxruntime"
        ) from None


def _graph(trained: TrainedSegmenter) -> nn.Module:
    if trained.kind == "maskrcnn":
        settings = trained.settings["maskrcnn.infer"]
        limits = {name: settings[name] for name in LIMITS}
        return InstanceGraph(trained.load_mask_rcnn().limit(**limits)).eval()
    return SemanticGraph(trained.load_deeplab()).eval()


def _sample(photo: Path | None, size: tuple[int, int]) -> Tensor:
    """A photo (1, 3, H, W) float32 in 0…1."""
    if photo is None:
        return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    scaled = Image.fromarray(load_photo(photo)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None].float() / 255


def _trace(graph: nn.Module, sample: Tensor, path: Path, *, outputs: list[str]) -> None:
    n_axes = {} if outputs == ["probabilities"] else {name: {0: "instances"} for name in outputs}
    with warnings.catch_warnings(), torch.no_grad():
        # of the exporter by tracing, the one that knows what Mask R-CNN computes: that it is deprecated, and that
        # sizes become constants, as they shall
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (sample,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_axes=n_axes,
        )


def _facts(trained: TrainedSegmenter, size: tuple[int, int]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "kind": trained.kind,
        "classes": ["background", *trained.classes],
        "input": f"{INPUT}: float32 (1, 3, {size[0]}, {size[1]}), RGB, 0…1, not normalised",
        "outputs": OUTPUTS[trained.kind],
        "backbone": trained.backbone,
        "learnt_from": trained.learnt_from,
        "recipe": trained.recipe,
        "generated-by": f"irnet_pipe {__version__}",
    }
    if trained.kind == "maskrcnn":
        settings = trained.settings["maskrcnn.infer"]
        facts["settings"] = {f"maskrcnn.infer.{name}": settings[name] for name in LIMITS}
    return facts


def _compare(graph: nn.Module, path: Path, sample: Tensor, *, outputs: list[str]) -> Comparison | None:
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        return None
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip(outputs, session.run(outputs, {INPUT: sample.numpy()}), strict=True))
    with torch.no_grad():
        computed = graph(sample)
    tensors = computed if isinstance(computed, tuple) else (computed,)
    comparison = compare_outputs(
        {name: tensor.numpy() for name, tensor in zip(outputs, tensors, strict=True)}, found
    )
    for name, deviation in comparison.deviations.items():
        if not deviation <= TOLERANCE[name]:
            raise DeviationError(
                f"{name} of onnxruntime differ from torch's by {deviation:.3g}, more than {TOLERANCE[name]}"
            )
    return comparison


def compare_outputs(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> Comparison:
    """Compare outputs; instances are matched by label and box, since the order of equal scores is open.

    Raises:
        DeviationError: numbers or labels of the instances differ.
    """
    if "boxes" not in expected:
        return Comparison({name: _largest(expected[name], found[name]) for name in expected}, None)
    n = len(expected["boxes"])
    if len(found["boxes"]) != n:
        raise DeviationError(f"torch finds {n} instances, onnxruntime {len(found['boxes'])}")
    apart = np.abs(expected["boxes"][:, None] - found["boxes"][None]).max(axis=2, initial=0)
    apart[expected["labels"][:, None] != found["labels"][None]] = np.inf
    order = apart.argmin(axis=1) if n else np.zeros(0, int)
    if len(set(order.tolist())) < n or np.isinf(apart[np.arange(n), order]).any():
        raise DeviationError(f"torch and onnxruntime find {n} instances each, which are not the same ones")
    names = ("boxes", "scores", "masks")
    return Comparison({name: _largest(expected[name], found[name][order]) for name in names}, n)


def _largest(expected: NDArray[Any], found: NDArray[Any]) -> float:
    return float(np.abs(expected.astype(np.float64) - found.astype(np.float64)).max(initial=0))
