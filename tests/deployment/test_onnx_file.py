"""`irnet-pipe export-model --onnx`: what the file computes and tells, and when none is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from deployment_run import CLASSES, RECIPE, Ramp
from PIL import Image
from torchvision.models.detection.roi_heads import paste_masks_in_image

from irnet_pipe.data.photos import load_photo, normalise
from irnet_pipe.deployment import onnx_file
from irnet_pipe.deployment.onnx_file import DeviationError, compare_outputs, paste_masks
from irnet_pipe.deployment.trained import find_segmenters
from irnet_pipe.models.inference import InstanceInference

CPU = torch.device("cpu")
SIZE = (48, 64)


@pytest.fixture
def export(verb, published_run, tmp_path):
    """Export to tmp_path/model.onnx: exit code, stdout, stderr, the file."""
    file = tmp_path / "model.onnx"

    def run(*words: object) -> tuple[int, str, str, Path]:
        known = ("--model", published_run, "--size", "48x64", "--to", file)
        return *verb("export-model", "--onnx", *known, *words), file

    return run


def computed(file: Path, photo: np.ndarray) -> dict[str, np.ndarray]:
    """What onnxruntime makes of a photo (H, W, 3) uint8."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape, entry.type) == ("photo", [1, 3, *photo.shape[:2]], "tensor(float)")
    raw = photo.transpose(2, 0, 1)[None].astype(np.float32) / 255
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"photo": raw}), strict=True))


def told(file: Path) -> dict[str, object]:
    """The json beside, which the file's own metadata repeat."""
    facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    within = session.get_modelmeta().custom_metadata_map
    assert within == {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
    return facts


@pytest.mark.slow
def test_instances_are_those_of_predict(export, published_run, photos):
    path = photos / "grey.PNG"
    settings = ("--set", "maskrcnn.infer.short_side=48", "--min-score", "0.1")
    code, out, _, file = export("--segmenter", "maskrcnn", "--check", path, *settings)
    assert code == 0 and "largest deviations of 7 instances of onnxruntime from torch: boxes" in out
    (trained,) = find_segmenters(published_run, only="maskrcnn", overrides=["maskrcnn.infer.min_score=.1"])
    inference = InstanceInference(trained.load_mask_rcnn(), trained.settings["maskrcnn.infer"], device=CPU)
    photo = load_photo(path)
    assert inference.seen(photo).shape == photo.shape == (*SIZE, 3)
    expected, found = inference.find(photo, size=SIZE, path=path), computed(file, photo)
    np.testing.assert_allclose(found["scores"], expected.score, atol=1e-4)
    assert (found["labels"] - 1).tolist() == expected.class_id.tolist()
    areas = [runs[1::2].sum() for runs in expected.runs]
    np.testing.assert_allclose((found["masks"] >= 0.5).sum(axis=(1, 2)), areas, atol=2)
    facts = told(file)
    assert facts["classes"] == ["background", *CLASSES] and facts["recipe"] == RECIPE
    assert facts["input"] == "photo: float32 (1, 3, 48, 64), RGB, 0…1, not normalised"
    assert facts["settings"] == {
        "maskrcnn.infer.nms": 0.5,
        "maskrcnn.infer.min_score": 0.1,
        "maskrcnn.infer.detections": 7,
    }
    assert set(facts["outputs"]) == set(found) == {"boxes", "labels", "scores", "masks"}


@pytest.mark.slow
def test_without_any_instance_nothing_is_compared(export):
    code, out, _, file = export("--segmenter", "maskrcnn", "--min-score", "1")
    assert code == 0 and "not compared with torch: no instance was found; give --check" in out
    shapes = {name: value.shape for name, value in computed(file, np.zeros((*SIZE, 3), np.uint8)).items()}
    assert shapes == {"boxes": (0, 4), "labels": (0,), "scores": (0,), "masks": (0, *SIZE)}


def test_the_graph_normalises(export, stand_ins, rng):
    code, out, _, file = export("--segmenter", "deeplab")
    assert code == 0 and "largest deviations of onnxruntime from torch: probabilities" in out
    photo = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    expected = Ramp()(normalise(photo)[None]).softmax(dim=1)
    np.testing.assert_allclose(computed(file, photo)["probabilities"], expected, atol=1e-5)
    assert told(file)["classes"] == ["background", *CLASSES]
    assert {path.name for path in file.parent.iterdir()} == {"model.onnx", "model.json"}


@pytest.mark.slow
def test_probabilities_are_those_of_the_network(export, published_run, rng):
    code, out, _, file = export("--segmenter", "deeplab")
    assert code == 0 and "largest deviations of onnxruntime from torch: probabilities" in out
    photo = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    found = computed(file, photo)
    (trained,) = find_segmenters(published_run, only="deeplab")
    with torch.no_grad():
        logits = trained.load_deeplab()(normalise(photo)[None])
    np.testing.assert_allclose(found["probabilities"], logits.softmax(dim=1), atol=1e-5)
    facts = told(file)
    assert facts["kind"] == "deeplab" and facts["classes"] == ["background", *CLASSES]
    assert "settings" not in facts
    assert {path.name for path in file.parent.iterdir()} == {"model.onnx", "model.json"}


def test_nothing_is_written_of_what_deviates(export, monkeypatch, stand_ins):
    monkeypatch.setitem(onnx_file.TOLERANCE, "probabilities", -1.0)
    code, out, err, file = export("--segmenter", "deeplab")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {file}: not written: probabilities of onnxruntime differ from torch's by ")
    assert list(file.parent.iterdir()) == []


def test_without_onnxruntime_nothing_is_compared(export, monkeypatch, stand_ins):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, _, file = export("--segmenter", "deeplab")
    assert code == 0 and "not compared with torch: onnxruntime is not installed (pip install" in out
    assert file.is_file()


def test_without_onnx(export, monkeypatch, stand_ins):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err, file = export("--segmenter", "deeplab")
    assert code == 2 and "not installed: pip install onnx onnxruntime" in err
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "has several segmenters; give --segmenter maskrcnn, or another"),
        (["--size", "48"], "--size 48: not height and width from 32 to 4096"),
        (["--size", "16x64"], "--size 16x64: not height and width"),
        (["--to", "model.pth"], "--to model.pth: give a file that ends in .onnx"),
        (["--segmenter", "deeplab", "--check", "nowhere.png"], "nowhere.png: cannot be read"),
    ],
)
def test_bad_input(export, words, message):
    code, _, err, file = export(*words)
    assert code == 2 and message in err
    assert list(file.parent.iterdir()) == []


def test_files_are_replaced_by_force_alone(export, tmp_path, stand_ins):
    (tmp_path / "model.onnx").write_text("mine")
    code, _, err, file = export("--segmenter", "deeplab")
    assert code == 2 and "model.onnx: is there already" in err and file.read_text() == "mine"
    assert export("--segmenter", "deeplab", "--force")[0] == 0
    assert told(file)["kind"] == "deeplab"


def test_masks_are_pasted_as_torchvision_does(rng):
    mask = torch.from_numpy(rng.random((40, 1, 28, 28))).float()
    low, high = np.sort(rng.uniform(0, 1, (2, 40, 2)), axis=0) * (70, 50)
    low[0], high[0], high[1] = 0, (70, 50), low[1] + 0.1  # all of the photo; less than a pixel
    box = torch.from_numpy(np.concatenate([low, high], axis=1)).float()
    expected = paste_masks_in_image(mask, box, (50, 70))[:, 0]
    torch.testing.assert_close(paste_masks(mask, box, size=(50, 70)), expected, rtol=0, atol=1e-5)
    assert paste_masks(mask[:0], box[:0], size=(50, 70)).shape == (0, 50, 70)


def outputs_of(boxes: list, labels: list[int], scores: list[float]) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array(boxes, dtype=np.float32).reshape(-1, 4),
        "labels": np.array(labels),
        "scores": np.array(scores, dtype=np.float32),
        "masks": np.array(scores, dtype=np.float32)[:, None, None] * np.ones((4, 4), np.float32),
    }


def test_instances_are_matched_whatever_the_order_of_equals():
    first, second = [0, 0, 4, 4], [1, 1, 3, 3]
    expected = outputs_of([first, second, first], [1, 1, 2], [0.5, 0.5, 0.5])
    found = outputs_of([first, [1, 1, 3, 3.25], first], [2, 1, 1], [0.5, 0.625, 0.5])
    comparison = compare_outputs(expected, found)
    assert comparison.instances == 3
    assert comparison.deviations == {"boxes": 0.25, "scores": 0.125, "masks": 0.125}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (outputs_of([[0, 0, 4, 4]], [1], [0.5]), "torch finds 2 instances, onnxruntime 1"),
        (outputs_of([[0, 0, 4, 4], [1, 1, 3, 3]], [1, 2], [0.5, 0.5]), "not the same ones"),
        (outputs_of([[0, 0, 4, 4], [90, 0, 91, 9]], [1, 1], [0.5, 0.5]), "not the same ones"),
    ],
)
def test_other_instances(found, message):
    expected = outputs_of([[0, 0, 4, 4], [1, 1, 3, 3]], [1, 1], [0.5, 0.5])
    with pytest.raises(DeviationError, match=message):
        compare_outputs(expected, found)


def test_the_photo_to_compare_on_is_scaled(photos):
    sample = onnx_file._sample(photos / "100% turned.jpg", SIZE)
    upright = Image.fromarray(load_photo(photos / "100% turned.jpg")).resize(
        (64, 48), Image.Resampling.BICUBIC
    )
    expected = torch.from_numpy(np.array(upright)).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(sample, expected)
