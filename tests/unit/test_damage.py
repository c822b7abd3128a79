"""`gc --damaged`: damage of every kind of file is found, named, and removed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from irnet_pipe.artifacts.headers import read_header
from irnet_pipe.artifacts.integrity import check_artifact
from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.weights import write_weights
from irnet_pipe.cli.main import main
from irnet_pipe.damage import find_damaged
from irnet_pipe.errors import ArtifactError
from irnet_pipe.export.voc import encode_png, write_tar
from irnet_pipe.recipes import Record
from irnet_pipe.training.checkpoint import Checkpoints

RECIPE = "0123456789abcdef"
RNG = np.random.default_rng(5)


def record(stage: str, unit: str, ext: str) -> Record:
    path = f"{stage}/{unit}.{RECIPE}.{ext}"
    return Record(RECIPE, stage, 1, unit, f"{stage} {unit}", path, {"config": {}, "files": {}}, (), (), {})


def write_hdf5(results: Path) -> Path:
    told = record("propagate", "label-00-of-02", "h5")
    with write_artifact(results / told.path, told) as writer:
        for image_id in ("a", "b"):
            maps = RNG.random((3, 16, 24), dtype=np.float32)
            writer.add(image_id, ImageSize(64, 96, 64, 96), {"class_score": maps})
    return results / told.path


def write_pth(results: Path) -> Path:
    path = results / record("train_cam", "all", "pth").path
    state = {"classifier.weight": torch.arange(300.0)}
    write_weights(path, header={"kind": "cam", "recipe": RECIPE}, state_dict=state, history={})
    return path


def write_scores(results: Path) -> Path:
    told = record("evaluate_masks", "all", "json")
    write_json(
        results / told.path,
        told,
        {
            "images": 3,
            "images_with_predicted_classes": 0,
            "variant": "cam",
            "figures": {},
            "names": ["box", "disc"],
        },
    )
    return results / told.path


def write_masks(results: Path) -> Path:
    path = results / record("gather_masks", "all", "tar").path
    path.parent.mkdir(parents=True)
    labels = RNG.integers(0, 3, (40, 40), dtype=np.uint8)
    stream = io.BytesIO()
    masks = json.dumps({"info": {"description": f"masks, recipe {RECIPE}"}}).encode()
    names = [f"SegmentationClass/{image_id}.png" for image_id in "abc"]
    write_tar(stream, [("masks.json", masks), *((name, encode_png(labels)) for name in names)])
    path.write_bytes(stream.getvalue())
    return path


def write_report(results: Path) -> Path:
    path = results / record("report", "all", "html").path
    path.parent.mkdir(parents=True)
    path.write_text("<html>\n<body>masks</body>\n</html>\n", encoding="utf-8")
    return path


def write_checkpoint(results: Path) -> Path:
    folder = results / "work" / "train_cam" / RECIPE
    Checkpoints(folder, recipe=RECIPE).save({"model": torch.arange(300.0)}, step=3)
    return folder / "checkpoint-000000003.pth"


WRITERS = {
    "h5": write_hdf5,
    "pth": write_pth,
    "json": write_scores,
    "tar": write_masks,
    "html": write_report,
    "checkpoint": write_checkpoint,
}


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def flip_chunk(path: Path) -> None:
    with h5py.File(path) as file:
        offset = file["images/b/class_score"].id.get_chunk_info(2).byte_offset
    flip(path, offset + 5)


def flip_at(marker: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        flip(path, path.read_bytes().index(marker))

    return spoil


def cut(size: float) -> Callable[[Path], None]:
    """Leave a share of the file, or so many bytes."""

    def spoil(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(size * len(content)) if size < 1 else int(size)])

    return spoil


def cut_between_members(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"SegmentationClass/b.png")])


def cut_behind_the_last_member(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\0") + b"\0" * 512)


def another_recipe(path: Path) -> None:
    path.rename(path.with_name(path.name.replace(RECIPE, "f" * 16)))


SPOILERS = [
    ("h5", flip_chunk),
    ("h5", flip_at(b"irnet_pipe.artifact")),
    ("h5", cut(0.5)),
    ("h5", cut(0.99)),
    ("h5", cut(0.0)),
    ("h5", another_recipe),
    ("pth", flip_at(np.arange(100, 110, dtype="<f4").tobytes())),
    ("pth", cut(0.5)),
    ("pth", cut(0.0)),
    ("json", flip_at(b"3,")),
    ("json", cut(0.5)),
    ("json", cut(0.0)),
    ("json", another_recipe),
    ("tar", cut(0.5)),
    ("tar", cut_between_members),
    ("tar", cut_behind_the_last_member),
    ("tar", flip_at(b"IDAT")),
    ("tar", flip_at(b"SegmentationClass/b.png")),
    ("tar", cut(0.0)),
    ("html", cut(0.5)),
    ("checkpoint", flip_at(np.arange(100, 110, dtype="<f4").tobytes())),
    ("checkpoint", cut(0.5)),
]


@pytest.fixture
def gc(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(yaml.safe_dump({"dataset": {"root": "no such folder"}}), encoding="utf-8")

    def run(*options: str) -> tuple[int, str]:
        code = main(["gc", "--damaged", "--config", "my.yaml", *options])
        return code, capsys.readouterr().out

    return run


def test_whole_files_are_left_alone(gc):
    paths = [write(Path("results")) for write in WRITERS.values()]
    assert gc("--yes") == (0, "results: no damage found\n")
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize(("kind", "spoil"), SPOILERS)
def test_damage_is_found_named_and_removed(gc, kind, spoil):
    results = Path("results")
    path = WRITERS[kind](results)
    whole = [write(results) for other, write in WRITERS.items() if other != kind]
    spoil(path)
    path = next(path.parent.iterdir()) if kind != "checkpoint" else path
    code, out = gc()
    assert code == 1
    message, total = out.splitlines()
    assert message.startswith(f"{path}: ")
    assert total == "damaged: 1 files; --yes deletes them"
    assert path.exists()
    code, out = gc("--yes")
    assert code == 0
    assert not path.exists() and all(other.exists() for other in whole)
    assert "the next snakemake run makes anew what it needs" in out


def test_newer_files_are_no_damage(gc):
    path = write_scores(Path("results"))
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"kind-version": 99}), encoding="utf-8")
    assert gc("--yes")[0] == 0
    assert path.exists()


def test_links_are_not_read(tmp_path):
    path = write_report(tmp_path / "elsewhere")
    path.write_text("<html>", encoding="utf-8")
    results = tmp_path / "results"
    results.mkdir()
    (results / "report").symlink_to(path.parent)
    assert list(find_damaged(results)) == []


@pytest.mark.parametrize("kind", ["h5", "pth", "json", "tar"])
def test_headers_state_the_recipe(tmp_path, kind):
    assert read_header(WRITERS[kind](tmp_path))["recipe"] == RECIPE


def test_header_of_a_damaged_file(tmp_path):
    path = write_hdf5(tmp_path)
    cut(0.5)(path)
    with pytest.raises(ArtifactError, match=r"damaged .* delete it and run snakemake again"):
        read_header(path)


def test_every_lost_byte_at_the_end_of_a_tar_is_noticed(tmp_path):
    path = write_masks(tmp_path)
    content = path.read_bytes()
    end = len(content.rstrip(b"\0"))
    for size in range(0, end + 2 * 512, 256):
        path.write_bytes(content[:size])
        with pytest.raises(ArtifactError, match="damaged"):
            check_artifact(path, stage="gather_masks")
    path.write_bytes(content)
    check_artifact(path, stage="gather_masks")


def test_damage_for_programs(gc):
    path = WRITERS["json"](Path("results"))
    path.write_text("{")
    code, out = gc("--json", "--quiet")
    assert code == 1
    (damaged,) = json.loads(out)["damaged"]
    assert damaged["path"] == str(path) and "delete it and run snakemake again" in damaged["problem"]
    code, out = gc("--json", "--quiet", "--yes")
    assert (code, json.loads(out)["removed"], path.exists()) == (0, True, False)


def test_thumbnails_that_were_damaged(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (8, 6)).save(stream, format="JPEG")
    whole = {"0-photo.jpeg": stream.getvalue(), "rows.js": b"gallery.unit({});\n"}
    cut = [{**whole, name: content[: len(content) // 2]} for name, content in whole.items()]
    for number, members in enumerate([whole, *cut]):
        path = tmp_path / f"label-00-of-01.{number:016x}.tar"
        with path.open("wb") as file:
            write_tar(file, members.items())
        if members == whole:
            check_artifact(path, stage="draw_thumbnails")
            assert read_header(path) == {"members": 2}
        else:
            with pytest.raises(ArtifactError, match="damaged"):
                check_artifact(path, stage="draw_thumbnails")
