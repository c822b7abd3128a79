"""Defects of the reference, D1–D19 of docs/method.md: those that no other test names. One tiny run serves many."""

import json
import tarfile
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from irnet_pipe.artifacts.arrays import pack_maps, unpack_maps
from irnet_pipe.artifacts.io import ArtifactReader, ImageSize, ShardSet, write_artifact
from irnet_pipe.artifacts.irnet_maps import pack_irnet_maps, read_displacement
from irnet_pipe.config import parse_config
from irnet_pipe.config.presets import merge
from irnet_pipe.data.image_list import canonical_json
from irnet_pipe.models.irnet import IRNet, boundary_and_displacement
from irnet_pipe.numerics.label_maps import label_fragments, label_scores
from irnet_pipe.recipes import Parent, Record
from irnet_pipe.runtime.job import Job
from irnet_pipe.runtime.progress import Progress
from irnet_pipe.stages import calibrate_displacement
from irnet_pipe.training.optimizer import make_optimizer
from irnet_pipe.workflow import prepare

NEGATIVES = ("gamma", "sub dir/ä")


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_tiny_values, photo_set, trained):
    """Every artifact of a tiny run: its lists differ, it has negatives, odd names, and photos of any size."""
    folder = tmp_path_factory.mktemp("run")
    values = merge(make_tiny_values(photo_set, folder), {"cam": {"trained": str(trained.cam)}})
    values["dataset"]["working_long_side"] = None
    prepared = prepare(parse_config(values))
    results = folder / "results"
    for artifact in prepared.plan.artifacts[:-1]:
        job = Job(artifact.record, results / artifact.path, results, photo_set, device="cpu")
        import_module(f"irnet_pipe.stages.{artifact.stage}").run(job)
    return prepared, results


def masks_of(run, variant):
    prepared, results = run
    paths = [
        results / artifact.path
        for artifact in prepared.plan.of("export_masks")
        if artifact.record.spec["variant"] == variant
    ]
    return ShardSet(paths, kind="masks")


@pytest.mark.parametrize("images", [1, 2, 19, 20, 21])
def test_d1_progress_of_a_few_images(images, capsys):
    progress = Progress(total=images, title="few", every=0)
    assert len(list(progress.over(["image"] * images))) == images
    assert f"{images}/{images}" in capsys.readouterr().err


def test_d1_progress_of_no_image(capsys):
    Progress(total=0, title="none", every=0).update(0)
    assert "0/0" in capsys.readouterr().err


@pytest.mark.parametrize("variant", ["cam", "boundary", "full"])
def test_d2_photos_above_the_canvas_get_masks_of_their_own_size(run, variant):
    with masks_of(run, variant) as masks:
        assert masks.size("larger").full == (80, 112)
        assert masks.read("larger", "semantic_counts").sum() == 80 * 112


def test_d4_any_file_name_is_an_image_id(run):
    with masks_of(run, "full") as masks:
        assert {"sub dir/ä b", "100% sure", "dot.in.name"} <= set(masks.image_ids)


def test_d5_words_and_numbers_of_a_command_line_are_typed():
    text = {"random_walk": {"beta": "1e1", "radius": "5"}, "runtime": {"whole_graph": "true"}}
    config = parse_config(text)
    plain = parse_config({"random_walk": {"beta": 10, "radius": 5}, "runtime": {"whole_graph": True}})
    assert config == plain
    assert canonical_json(config.model_dump(mode="json")) == canonical_json(plain.model_dump(mode="json"))


def test_d6_momentum_and_weight_decay_are_keys_of_their_own():
    settings = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}
    (group,) = make_optimizer(
        {"all": [nn.Parameter(torch.ones(1))]}, {"all": 0.1}, settings=settings
    ).param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 0.01)


@pytest.mark.parametrize("preset", [None, "paper_default", "paper_log"])
def test_d6_defaults_and_presets_keep_the_momentum_of_the_reference(preset):
    config = parse_config({"preset": preset})
    assert config.cam.train.momentum == config.irnet.train.momentum == 1e-4


@pytest.mark.parametrize("variant", ["cam", "boundary", "full"])
def test_d7_images_without_labels_get_empty_masks(run, variant):
    with masks_of(run, variant) as masks:
        for image_id in NEGATIVES:
            assert not len(masks.read(image_id, "class_id"))
            assert not len(masks.read(image_id, "instance_class"))


def test_d8_maps_of_zeros_are_packed_without_nan(tmp_path):
    zeros = np.zeros((2, 3, 4), dtype=np.float32)
    record = a_record("propagate")
    with write_artifact(tmp_path / "zeros.h5", record) as writer:
        writer.add("dark", ImageSize(12, 16, 12, 16), pack_maps("score", zeros))
    with ArtifactReader(tmp_path / "zeros.h5", kind="propagation") as reader:
        np.testing.assert_array_equal(unpack_maps(reader, "dark", "score"), zeros)


def test_d11_lists_for_training_and_labelling_may_differ(run):
    prepared, _ = run
    assert {entry.image_id for entry in prepared.index.train} < {
        entry.image_id for entry in prepared.index.label
    }
    with masks_of(run, "full") as masks:
        assert masks.image_ids == [entry.image_id for entry in prepared.index.label]


def test_d12_an_interrupted_writer_leaves_nothing(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        write_artifact(tmp_path / "half.h5", a_record("propagate")) as writer,
    ):
        writer.add("first", ImageSize(4, 4, 4, 4), {})
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_d13_no_artifact_is_a_pickle(run):
    prepared, results = run
    suffixes = {(results / artifact.path).suffix for artifact in prepared.plan.artifacts[:-1]}
    assert suffixes == {".h5", ".pth", ".json", ".tar", ".html"}


def test_d14_scores_are_relative_to_the_best_of_the_image():
    faint = np.full((1, 4, 4), 1e-3, np.float32)
    faint[0, 1:3, 1:3] = 2e-3
    _, best = label_scores(faint, size=(16, 16), bg_threshold=0.25)
    assert best.max() == 1


@pytest.mark.parametrize(("min_fragment", "score"), [(0.01, 0.0), (0.001, 0.5)])
def test_d15_the_least_size_of_a_fragment_is_a_key(min_fragment, score):
    config = parse_config({"export": {"instance": {"min_fragment": min_fragment}}})
    labels, best = np.zeros((40, 40), np.int32), np.full((40, 40), 0.25, np.float32)
    labels[3:6, 3:6], best[3:6, 3:6] = 1, 0.5
    (fragment,) = label_fragments(labels, best, min_area=config.export.instance.min_fragment * 40 * 40)
    assert (fragment.area, fragment.score) == (9, score)


def test_d16_d17_the_mean_is_that_of_the_training_photos_without_padding(run):
    prepared, results = run
    (artifact,) = prepared.plan.of("calibrate_displacement")
    assert {parent.unit.split("-")[0] for parent in artifact.parents} == {"train"}
    fields = []
    with ShardSet([results / parent.path for parent in artifact.parents], kind="irnet_maps") as maps:
        for entry in prepared.index.train:
            if entry.labels:
                field = read_displacement(maps, entry.image_id).astype(np.float64)
                assert field.shape[1:] == (-(-entry.height // 4), -(-entry.width // 4))
                fields.append(field.reshape(2, -1))
    stored = json.loads((results / artifact.path).read_text(encoding="utf-8"))
    np.testing.assert_allclose(stored["mean_displacement"], np.hstack(fields).mean(axis=1), rtol=1e-6)


def test_d16_one_image_has_a_mean(tmp_path):
    field = np.ones((2, 2, 3), dtype=np.float32) * np.array([1, -2], dtype=np.float32)[:, None, None]
    parent = Parent("infer_irnet", "train-00-of-01", "1" * 16, "infer_irnet/train-00-of-01.h5")
    with write_artifact(tmp_path / parent.path, a_record("infer_irnet")) as writer:
        writer.add("only", ImageSize(8, 12, 8, 12), pack_irnet_maps(field[0] > 0, field))
    record = a_record("calibrate_displacement", parent)
    calibrate_displacement.run(Job(record, tmp_path / record.path, tmp_path, tmp_path))
    assert json.loads((tmp_path / record.path).read_text())["mean_displacement"] == [1, -2]


def test_d18_predicted_classes_are_announced(tmp_path, make_tiny_values, photo_set, trained):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "images").symlink_to(photo_set / "images")
    rows = (photo_set / "labels.csv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if not row.startswith('"label only"')]
    (folder / "labels.csv").write_text("\n".join(kept), encoding="utf-8")
    (folder / "train.txt").write_text((photo_set / "train.txt").read_text(encoding="utf-8"), encoding="utf-8")
    changes = {
        "shards": {"n": 1},
        "dataset": {"missing": "predict", "evaluate": None, "ground_truth": None},
        "cam": {"trained": str(trained.cam)},
        "export": {"variants": ["cam"]},
    }
    prepared = prepare(parse_config(merge(make_tiny_values(folder, tmp_path), changes)))
    results = tmp_path / "results"
    for artifact in prepared.plan.artifacts[:-1]:
        job = Job(artifact.record, results / artifact.path, results, folder, device="cpu")
        import_module(f"irnet_pipe.stages.{artifact.stage}").run(job)
    (gathered,) = prepared.plan.of("gather_masks")
    with tarfile.open(results / gathered.path) as tar:
        member = tar.extractfile("counts.json")
        assert member is not None
        assert json.load(member)["images_with_predicted_classes"] == 1
    (report,) = prepared.plan.of("report")
    assert "predicted by the classifier" in (results / report.path).read_text(encoding="utf-8")


def test_d19_the_displacement_is_that_of_the_unmirrored_photo():
    torch.manual_seed(0)
    model, photo = IRNet("resnet18").eval(), torch.randn(3, 64, 64)
    _, displacement = boundary_and_displacement(model, photo, canvas=64)
    with torch.no_grad():
        _, alone = model(photo[None])
    torch.testing.assert_close(displacement, alone[0], rtol=1e-4, atol=1e-5)


def a_record(stage, *parents):
    return Record(
        recipe="0" * 16,
        stage=stage,
        version=1,
        unit="all",
        label=stage,
        path=f"{stage}/all.{'0' * 16}.json",
        spec={"config": {}, "files": {}},
        parents=parents,
        images=(),
        files={},
    )
