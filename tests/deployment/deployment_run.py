"""How the made-up run and its photos are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.config import config_value, parse_config
from irnet_pipe.export.torchvision_weights import export_weights
from irnet_pipe.models.deeplab import DeepLab
from irnet_pipe.models.mask_rcnn import Detections, MaskRcnn
from irnet_pipe.stage_table import STAGES

CLASSES = ["möwe", "disc"]
RECIPE = "0123456789abcdef"
NETWORKS = {"maskrcnn": MaskRcnn, "deeplab": DeepLab}
SETTINGS = parse_config(
    {
        "dataset": {"working_long_side": 64},
        "maskrcnn": {"infer": {"short_side": 48, "max_side": 64, "detections": 7, "precision": "fp32"}},
        "deeplab": {"infer": {"scales": [1, 0.5], "precision": "fp32"}},
    }
)
Verb = Callable[..., tuple[int, str, str]]


class Ramp(DeepLab):
    """Stands in for DeepLab: logits are 0 for background, red and green for the classes."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self._body = [torch.nn.Module()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros_like(x[:, 0]), x[:, 0], x[:, 1]], dim=1)


class Halves(MaskRcnn):
    """Stands in for Mask R-CNN: a sure instance in the left half of each photo, an unsure one in the right half."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self._body = [torch.nn.Module()]

    def limit(self, *, nms: float, min_score: float, detections: int) -> MaskRcnn:
        self.min_score = min_score
        return self

    def detect(self, photo: torch.Tensor) -> Detections:
        height, width = photo.shape[-2:]
        box = torch.tensor([[0, 0, width / 2, height], [width / 2, 0, width, height]])
        score, class_id = torch.tensor([0.9, 0.3]), torch.tensor([0, 1])
        kept = score >= self.min_score
        return Detections(box[kept], score[kept], class_id[kept], torch.ones(2, 1, 28, 28)[kept])


def publish_network(run: Path, kind: str, *, classes: Sequence[str]) -> None:
    """Weights of a network that has learnt nothing, as a run publishes them."""
    run.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = NETWORKS[kind]("resnet18", len(classes)).network.state_dict()
    if kind == "deeplab":
        state["classifier.4.bias"] = torch.tensor([-1.0, *[0.0] * len(classes)])  # classes, not background
    header = {"kind": kind, "backbone": "resnet18", "classes": list(classes), "learnt-from": "full"}
    source = run / "source.pth"
    write_weights(source, header=header | {"recipe": RECIPE}, state_dict=state, history={})
    inference = {key: config_value(SETTINGS, key) for key in STAGES[f"infer_{kind}"].reads}
    export_weights(source, run, kind=kind, inference=inference)
    source.unlink()


def write_photo(
    path: Path,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (48, 64),
    mode: str = "RGB",
    orientation: int | None = None,
) -> None:
    """Noise; `size` (H, W) is that of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.fromarray(rng.integers(0, 256, (*size, 4), dtype=np.uint8)).convert(mode)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    photo.save(path, exif=exif)
