"""Figures to go by where nothing was measured: of two cores of an AMD EPYC, ResNet-50, bf16 (docs/performance.md)."""

from __future__ import annotations

import math

from irnet_pipe.forecast.measurement import LOADED_MEMORY, Measurement
from irnet_pipe.forecast.workload import Workload
from irnet_pipe.recipes import Record
from irnet_pipe.stage_table import DEVICE_STAGES, TRAINERS

MIB = 1 << 20
GPU_SPEED = 40
"""How many times faster a GPU is than two cores; a guess, of networks alone."""

BACKBONES = {"resnet18": 0.5, "resnet34": 0.75, "resnet50": 1.0, "resnet101": 1.7}
"""Time beside that of ResNet-50."""

FIGURES = {
    # seconds of the start, seconds a megapixel, MiB of memory, kB an artifact, kB a megapixel
    "train_cam": (5, 1.8, 3600, 95_000, 0),
    "infer_cam": (4, 2.8, 3000, 0, 10),
    "select_relation_thresholds": (3, 4.5, 900, 2, 0),
    "mine_relations": (3, 0.9, 900, 0, 55),
    "train_irnet": (5, 1.3, 5700, 95_000, 0),
    "infer_irnet": (4, 3.0, 1300, 0, 100),
    "calibrate_displacement": (0.5, 0, 60, 1, 0),
    "refine_displacement": (2.5, 0.4, 750, 0, 26),
    "propagate": (2.5, 0.25, 750, 0, 75),
    "mine_affinitynet": (3, 1.8, 900, 0, 100),
    "train_affinitynet": (5, 2.5, 4000, 105_000, 0),
    "propagate_affinitynet": (4, 3.0, 1500, 0, 80),
    "select_thresholds": (2, 0.2, 700, 5, 0),
    "export_masks": (1.5, 0.11, 800, 0, 30),
    "draw_thumbnails": (1.5, 0.1, 300, 0, 60),
    "train_maskrcnn": (6, 4.0, 5000, 180_000, 0),
    "infer_maskrcnn": (5, 3.0, 2000, 0, 30),
    "train_deeplab": (6, 4.0, 5000, 160_000, 0),
    "infer_deeplab": (5, 3.0, 2000, 0, 30),
    "gather_masks": (0.5, 0.05, 70, 0, 52),
    "evaluate_cam": (2.5, 0.06, 800, 1, 0),
    "evaluate_masks": (1, 0.06, 250, 2, 0),
    "report": (4, 0, 800, 2000, 0),
    "publish": (1.5, 0.02, 60, 0, 52),
}
STEPS = {
    "train_cam": 16 * 0.147,
    "train_irnet": 16 * 0.147,
    "train_affinitynet": 8 * 0.201,
    "train_maskrcnn": 4 * 0.41,
    "train_deeplab": 16 * 0.263,
}
"""Megapixels of a training step of which the memory is that above."""
IMAGES = {"infer_cam": 7.5 * 0.188, "infer_irnet": 0.262}
"""Megapixels of an image, all scales added up, of which the memory is that above; it grows with their root, about."""
OTHER = (3, 0.1, 900, 10, 0)
"""Of a stage that is not named."""


def default(record: Record, work: Workload, *, backbone: str | None, device: str) -> Measurement:
    """What a job may take.

    Args:
        record: of its artifact.
        work: of the job.
        backbone: of its network; None: ResNet-50, if it has any.
        device: cpu or cuda.
    """
    start, rate, memory, fixed, growing = FIGURES.get(record.stage, OTHER)
    size = BACKBONES.get(backbone or "", 1.0)
    if record.stage in DEVICE_STAGES:
        rate *= size / (GPU_SPEED if device == "cuda" else 1)
    loaded = LOADED_MEMORY / MIB
    return Measurement(
        start=start,
        rate=rate,
        cpu_start=start,
        cpu_rate=rate * (1.8 if record.stage in TRAINERS else 1),
        memory=(loaded + (memory - loaded) * _memory_share(record, work, size)) * MIB,
        fixed_bytes=fixed * 1e3,
        bytes_rate=growing * 1e3,
    )


def _memory_share(record: Record, work: Workload, size: float) -> float:
    """What a job takes beyond what is loaded, beside the figure of its stage."""
    if record.stage in STEPS and work.items:
        batch: int = record.spec["config"][f"{record.stage.removeprefix('train_')}.train"]["batch"]
        return size * batch * work.largest / STEPS[record.stage]
    if record.stage in IMAGES:
        return size * math.sqrt(work.largest / IMAGES[record.stage])
    return 1
