"""Faults of weights, artifacts and what is published."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from fault import Fault, Project, configured
from torch import nn

from irnet_pipe.artifacts.io import ImageSize, write_artifact
from irnet_pipe.artifacts.json_files import write_json
from irnet_pipe.artifacts.weights import read_weights, write_weights

UNREADABLE = "cannot be read as a file of torch.save that holds tensors alone"
ANOTHER = "the file is damaged or of another format: give another one, or make it anew"
ANEW = "delete it and run snakemake again"


def weights(write: Callable[[Project, Path], object]) -> Callable[[Project], object]:
    """cam.trained is this file."""

    def spoil(project: Project) -> None:
        write(project, project.folder / "w.pth")
        project.config({"cam": {"trained": "w.pth"}})

    return spoil


def changed(**header: Any) -> Callable[[Project, Path], object]:
    """Weights of a classifier with another header."""

    def write(project: Project, path: Path) -> None:
        content = torch.load(project.trained.cam, weights_only=True)
        content["header"] |= header
        torch.save(content, path)

    return write


def poisoned(project: Project, path: Path) -> None:
    known = read_weights(project.trained.cam, kind="cam")
    known.state_dict["classifier.weight"][0] = float("nan")
    write_weights(path, header=known.header, state_dict=known.state_dict, history={})


def cut(project: Project, path: Path) -> None:
    path.write_bytes(project.trained.cam.read_bytes()[:100_000])


def flipped(project: Project, path: Path) -> None:
    content = bytearray(project.trained.cam.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        project.hold("MEMBER", archive.testzip())


WEIGHTS = [
    Fault(
        "weights that are not there",
        configured(cam={"trained": "no.pth"}),
        "cam.trained: no.pth: no such file; give the path of a weights file",
    ),
    Fault(
        "weights without their end",
        weights(cut),
        f"w.pth: {UNREADABLE} (its end is missing); {ANOTHER}",
    ),
    Fault(
        "weights with a flipped bit",
        weights(flipped),
        f"w.pth: {UNREADABLE} (checksum of MEMBER); {ANOTHER}",
    ),
    Fault(
        "an HTML page named .pth",
        weights(lambda project, path: path.write_text("<html>sign in first</html>")),
        f"w.pth: {UNREADABLE} (the file is an HTML page); {ANOTHER}",
    ),
    Fault(
        "a whole network, pickled",
        weights(lambda project, path: torch.save(nn.Conv2d(1, 1, 1), path)),
        f"w.pth: {UNREADABLE} (it holds other Python objects, which may run any code when they are loaded); {ANOTHER}",
    ),
    Fault(
        "weights of the authors' code",
        weights(lambda project, path: torch.save({"classifier.weight": torch.zeros(20, 2048, 1, 1)}, path)),
        "w.pth: no weights file of irnet_pipe: key header/format, expected 'irnet_pipe.weights'; a state dict of the "
        "reference is turned into one by `irnet-pipe import-weights`",
    ),
    Fault(
        "weights of a newer version",
        weights(changed(**{"format-version": 9})),
        "w.pth: key header/format-version, found 9, expected at most 1; update irnet_pipe, or train again",
    ),
    Fault(
        "weights of IRNet in the place of a classifier",
        weights(lambda project, path: shutil.copy(project.trained.irnet, path)),
        "w.pth: key header/kind, found 'irnet', expected 'cam'; give a file of that kind",
    ),
    Fault(
        "weights of another backbone",
        weights(changed(backbone="resnet34")),
        "w.pth: weights of another architecture: key backbone.layer1.2.conv1.weight, expected (64, 64, 3, 3), found no "
        "such key; set backbone and classes to those of the file, or give another file",
    ),
    Fault(
        "weights for another class count",
        weights(changed(classes=["box", "disc", "star"])),
        "cam.trained: w.pth: classifies ['box', 'disc', 'star'], but the data has the 2 classes ['box', 'disc']; set "
        "dataset.classes to those of the file, or train anew",
    ),
    Fault(
        "weights with NaN",
        weights(poisoned),
        "w.pth: key classifier.weight holds NaN or infinity: the training that wrote it has diverged; give "
        "another file, or train anew at a lower learning rate",
    ),
    Fault(
        "a name of weights that torchvision does not have",
        configured(cam={"weights": "IMAGENET1K_V9"}, irnet={"weights": "cam"}),
        "cam.weights: IMAGENET1K_V9: neither a file nor weights of torchvision for resnet18 (IMAGENET1K_V1, "
        "DEFAULT); give one of these names, the path of a state dict, or none",
    ),
]


def stage(
    name: str, parent: str, spoil: Callable[[Path, Any], object] | None
) -> tuple[Callable[[Project], object], tuple[str, ...]]:
    """A job by hand whose parent of some stage is spoilt, and its command line."""

    def prepare(project: Project) -> None:
        artifact = project.artifact(name)
        (above, *_) = (each for each in artifact.parents if each.stage == parent)
        path = Path("results", above.path)
        project.hold("RECORD", f"results/recipes/{artifact.recipe}.json")
        project.hold("ARTIFACT", f"results/{artifact.path}")
        project.hold("PARENT", path)
        Path("results", name).mkdir()
        if spoil is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            spoil(path, above.record)

    return prepare, (
        name,
        "--recipe",
        "RECORD",
        "--output",
        "ARTIFACT",
        "--root",
        "photos",
        "--device",
        "cpu",
    )


def hdf5(path: Path, record: Any) -> None:
    with write_artifact(path, record) as writer:
        writer.add("another", ImageSize(30, 40, 30, 40), {"class_id": np.zeros(1, dtype=np.int32)})


def halved(path: Path, record: Any) -> None:
    hdf5(path, record)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def unfinished(path: Path, record: Any) -> None:
    hdf5(path, record)
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]


def newer(path: Path, record: Any) -> None:
    hdf5(path, record)
    with h5py.File(path, "r+") as file:
        file.attrs["format-version"] = 99


def spoilt_record(project: Project) -> None:
    project.hold(
        "RECORD", project.write("results/recipes/0123456789abcdef.json", "{}").relative_to(project.folder)
    )


def other_record(project: Project) -> None:
    project.hold("RECORD", f"results/recipes/{project.artifact('train_cam').recipe}.json")


def edited_scores(project: Project) -> None:
    project.config({"dataset": {"evaluate": "all", "ground_truth": "truth.json"}})
    images = [
        {"id": n, "file_name": f"{name}.png", "height": 30, "width": 40} for n, name in enumerate("abcd")
    ]
    categories = [{"id": 1, "name": "box"}, {"id": 2, "name": "disc"}]
    project.write(
        "photos/truth.json", json.dumps({"images": images, "categories": categories, "annotations": []})
    )
    artifact = project.artifact("evaluate_masks")
    path = Path("results", artifact.path)
    figures = {"mean": 0.51}
    scores = {"images": 4, "images_with_predicted_classes": 0, "variant": "full", "figures": figures}
    write_json(path, artifact.record, scores)
    path.write_text(path.read_text().replace("0.51", "0.71"))
    project.hold("SCORES", path)


PUBLISHED = """\
{"info": {"description": "masks, variant full, recipe 0123456789abcdef"},
"licenses": [],
"categories": [
{"id": 1, "name": "box"}
],
"images": [
],
"annotations": [
]}
"""


def published(text: str) -> Callable[[Project], object]:
    """A published folder with these masks."""

    def spoil(project: Project) -> None:
        project.write("outputs/sound/masks.json", text)
        project.write("outputs/sound/recipe-0123456789abcdef.json", "{}")

    return spoil


JOB = stage("mine_relations", "infer_cam", None)
CUT = stage("mine_relations", "infer_cam", halved)
UNFINISHED = stage("mine_relations", "infer_cam", unfinished)
NEWER = stage("mine_relations", "infer_cam", newer)
SHORT = stage("mine_relations", "infer_cam", hdf5)
EXPORT = ("export", "outputs/sound", "--format", "coco", "--to", "exported")
EVALUATE = ("evaluate", "mine.json", "truth.json")

ARTIFACTS = [
    Fault(
        "an artifact that is not there",
        JOB[0],
        "PARENT: artifact is missing; run snakemake, which makes it anew",
        words=JOB[1],
    ),
    Fault(
        "an artifact without its end",
        CUT[0],
        f"PARENT: damaged (its end is missing); {ANEW}",
        words=CUT[1],
    ),
    Fault(
        "an artifact that is not complete",
        UNFINISHED[0],
        f"PARENT: no complete artifact (format 'irnet_pipe.artifact', expected 'irnet_pipe.artifact'); {ANEW}",
        words=UNFINISHED[1],
    ),
    Fault(
        "an artifact of a newer version",
        NEWER[0],
        "PARENT: format-version 99 is newer than 1, the newest that irnet_pipe VERSION reads; update "
        "irnet_pipe, or delete the file and run snakemake again",
        words=NEWER[1],
    ),
    Fault(
        "an artifact without an image",
        SHORT[0],
        f"PARENT: has no 'class_id' of image 'a' (images/a/class_id); {ANEW}",
        words=SHORT[1],
    ),
    Fault(
        "a recipe that is not there",
        configured(),
        "results/recipes/0123456789abcdef.json: no such recipe; a dry run (`snakemake -n`) writes the recipes",
        words=("propagate", "--recipe", "results/recipes/0123456789abcdef.json", "--output", "x.h5"),
    ),
    Fault(
        "a recipe that is none",
        spoilt_record,
        "RECORD: not a recipe of this version ('parents'); a dry run writes it anew",
        words=("propagate", "--recipe", "RECORD", "--output", "x.h5"),
    ),
    Fault(
        "a recipe of another stage",
        other_record,
        "RECORD: a recipe of train_cam, not of propagate; run `irnet-pipe train_cam`",
        words=("propagate", "--recipe", "RECORD", "--output", "x.h5"),
    ),
    Fault(
        "scores that were edited",
        edited_scores,
        (),
        words=("gc", "--damaged", "--json", "--quiet", "--config", "my.yaml"),
        code=1,
        output=f"""\
{{
 "removed": false,
 "damaged": [
  {{
   "path": "SCORES",
   "problem": "SCORES: damaged (its digest is not that of its content); {ANEW}"
  }}
 ]
}}
""",
    ),
    Fault(
        "a file that is asked about and not there",
        configured(),
        "results/propagate/all.0123456789abcdef.h5: no such file, and no record of it; give the path of an artifact",
        words=("info", "results/propagate/all.0123456789abcdef.h5"),
    ),
    Fault(
        "a run that is not published",
        configured(),
        "outputs/sound: no such folder; give the folder of a published run, outputs/<run>",
        words=EXPORT,
    ),
    Fault(
        "published masks without their end",
        published(PUBLISHED[:80]),
        "outputs/sound/masks.json, line 2: ends too early; the file is damaged or not written by "
        "irnet_pipe: run snakemake, which publishes it anew",
        words=EXPORT,
    ),
    Fault(
        "an export into a folder that holds other files",
        lambda project: (published(PUBLISHED)(project), project.write("exported/mine.txt", "mine")),
        "exported: is not empty and no earlier export (no export.json); give --to another folder, or empty this one",
        words=EXPORT,
    ),
    Fault(
        "masks that are no JSON",
        lambda project: (project.write("mine.json", "[]"), project.write("truth.json", "masks")),
        "truth.json: no JSON of COCO's kind at byte 0: neither a list nor an object; write the file anew",
        words=EVALUATE,
    ),
    Fault(
        "photos for a run without segmenters",
        published(""),
        "outputs/sound: a run without segmenters; add segmenters: [maskrcnn] to its config and run snakemake",
        words=("predict", "photos", "--model", "outputs/sound", "--out", "masks"),
    ),
    Fault(
        "a state dict for import-weights of no network of the authors",
        lambda project: torch.save({"fc.weight": torch.zeros(2, 2)}, project.folder / "w.pth"),
        "w.pth: no state dict of the reference: key classifier.weight (res50_cam) or fc_edge6.weight "
        "(res50_irn) expected, neither found; give a file that its training has saved",
        words=("import-weights", "w.pth", "--output", "ours.pth"),
    ),
]
FAULTS = [*WEIGHTS, *ARTIFACTS]
