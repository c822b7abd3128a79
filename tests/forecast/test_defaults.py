"""General figures beside what jobs took: within a factor of two, on the machine that they are of."""

from types import SimpleNamespace

import pytest

from irnet_pipe.forecast.defaults import default
from irnet_pipe.forecast.workload import Workload

MEASURED = [  # stage, backbone, megapixels of an image, batch, peak in MB
    ("infer_cam", "resnet18", 7.5 * 0.037, None, 935),
    ("infer_cam", "resnet18", 7.5 * 0.049, None, 1000),
    ("infer_cam", "resnet50", 7.5 * 0.077, None, 1850),
    ("infer_cam", "resnet50", 7.5 * 4.19, None, 6300),
    ("infer_irnet", "resnet18", 0.037, None, 687),
    ("infer_irnet", "resnet50", 0.102, None, 937),
    ("infer_irnet", "resnet50", 4.19, None, 4100),
    ("train_cam", "resnet18", 0.066, 16, 1162),
    ("train_cam", "resnet50", 0.102, 16, 2058),
]


@pytest.mark.parametrize(("stage", "backbone", "largest", "batch", "peak"), MEASURED)
def test_memory(stage, backbone, largest, batch, peak):
    record = SimpleNamespace(stage=stage, spec={"config": {"cam.train": {"batch": batch}}})
    work = Workload(items=10, megapixels=10 * largest, largest=largest)
    found = default(record, work, backbone=backbone, device="cpu").peak_memory(work) / 1e6
    assert peak / 2 < found < 2 * peak
