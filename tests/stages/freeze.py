"""The frozen outputs of the stages on the made-up run: `make frozen` writes those of stages that were bumped anew.

`python tests/stages/freeze.py STAGE …` freezes stages whose version is as it was: after a change of the made-up run, or
of what is frozen of an output, and after nothing else.

Settings are frozen with the output, so that another default in the config changes nothing here.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
import tarfile
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from made_up import MadeUpRun
from PIL import Image

from irnet_pipe.artifacts.io import ArtifactReader
from irnet_pipe.artifacts.schema import KIND_OF_STAGE
from irnet_pipe.artifacts.weights import read_weights
from irnet_pipe.config.presets import merge
from irnet_pipe.plan import Artifact
from irnet_pipe.publish import publish
from irnet_pipe.recipes import record_path
from irnet_pipe.report import pictures
from irnet_pipe.report.pictures import Picture
from irnet_pipe.runtime.job import Job
from irnet_pipe.stage_table import STAGES

FOLDER = Path(__file__).parents[1] / "frozen"
SAMPLES = 16
"""Values that are frozen of each tensor of a state dict."""
HEADER = ("format", "format-version", "kind", "kind-version", "recipe", "digest")
"""Keys of JSON that say what a file is: recipes change with any stage above."""
Content = dict[str, np.ndarray | str]


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What a stage made of the made-up run at a version: arrays, texts, and the settings it was run with."""

    version: int
    settings: dict[str, Any]
    content: Content


def frozen_path(stage: str) -> Path:
    return FOLDER / f"{stage}.npz"


def read_frozen(stage: str) -> Frozen:
    with np.load(frozen_path(stage), allow_pickle=False) as file:
        head = json.loads(str(file["head"]))
        content: Content = dict(head["texts"])
        parts = {dtype: iter(np.split(file[dtype], np.cumsum(n)[:-1])) for dtype, n in _lengths(head).items()}
    for name, dtype, shape in head["arrays"]:
        content[name] = next(parts[dtype]).reshape(shape)
    return Frozen(head["version"], head["settings"], content)


def write_frozen(stage: str, frozen: Frozen) -> None:
    """One file: a head, and all arrays of a type joined, since each array of its own would cost 300 bytes."""
    arrays = {name: value for name, value in sorted(frozen.content.items()) if isinstance(value, np.ndarray)}
    head = {
        "version": frozen.version,
        "settings": frozen.settings,
        "texts": {name: value for name, value in frozen.content.items() if isinstance(value, str)},
        "arrays": [[name, value.dtype.name, value.shape] for name, value in arrays.items()],
    }
    joined = {
        dtype: np.concatenate([value.ravel() for value in arrays.values() if value.dtype.name == dtype])
        for dtype in _lengths(head)
    }
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(head, sort_keys=True, ensure_ascii=False)
    np.savez_compressed(frozen_path(stage), head=np.array(text), **joined)


def _lengths(head: dict[str, Any]) -> dict[str, list[int]]:
    lengths: dict[str, list[int]] = {}
    for _, dtype, shape in head["arrays"]:
        lengths.setdefault(dtype, []).append(int(np.prod(shape)))
    return lengths


# --- what a stage makes of the made-up run


def outputs(run: MadeUpRun, stage: str, *, folder: Path, settings: dict[str, Any] | None = None) -> Content:
    """Run a stage on every unit and variant; settings given take the place of the config's."""
    content: Content = {}
    for artifact in run.plan.of(stage):
        job = job_of(run, artifact, folder=folder, settings=settings)
        name = f"{artifact.unit} {artifact.record.spec.get('variant', '')}".strip()
        content |= {f"{name}/{key}": value for key, value in content_of(job).items()}
    return content


def job_of(
    run: MadeUpRun, artifact: Artifact, *, folder: Path, settings: dict[str, Any] | None = None
) -> Job:
    """The job that makes an artifact of made-up parents, below `folder`."""
    for parent in artifact.parents:
        run.make(parent)
    job = run.job(artifact)
    config = merge(job.record.spec["config"], settings or {})
    record = dataclasses.replace(job.record, spec=job.record.spec | {"config": config})
    return dataclasses.replace(job, record=record, output=folder / artifact.path)


def content_of(job: Job) -> Content:
    """Run a job; what its output holds besides recipes."""
    if job.record.stage == "publish":
        publish(record_path(job.results, job.record.recipe), job.output)
        return _folder(job)
    drawn: list[np.ndarray] = []

    def collect(picture: Picture) -> bytes:
        drawn.append(np.asarray(picture.image))
        return f"{picture.name}.{picture.kind}".encode()

    # pictures are taken before they are encoded, which is left to the imaging library
    with mock.patch.object(pictures, "encode", collect):
        import_module(f"irnet_pipe.stages.{job.record.stage}").run(job)
    content = _READERS[job.output.suffix](job)
    return content | {f"picture {number}": picture for number, picture in enumerate(drawn)}


def _arrays(job: Job) -> Content:
    content: Content = {}
    with ArtifactReader(job.output, kind=KIND_OF_STAGE[job.record.stage]) as reader:
        for image_id, size in reader.sizes.items():
            content[f"{image_id}/size"] = np.array(dataclasses.astuple(size))
            for name in reader.names(image_id):
                content[f"{image_id}/{name}"] = reader.read(image_id, name)
    return content


def _weights(job: Job) -> Content:
    weights = read_weights(job.output, kind=job.record.stage.removeprefix("train_"))
    content: Content = {f"history/{name}": np.array(values) for name, values in weights.history.items()}
    for name, tensor in weights.state_dict.items():
        places = np.linspace(0, tensor.numel() - 1, SAMPLES).round().astype(int)
        content[name] = tensor.flatten().numpy()[places]
    return content


def _json(text: str) -> Content:
    """Numbers and texts of a JSON by their path."""
    content: Content = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                walk(f"{path}/{key}", item)
        elif isinstance(value, int | float):
            content[path] = np.array(value)
        else:
            content[path] = str(value)

    walk("", {key: value for key, value in json.loads(text).items() if key not in HEADER})
    return content


def _tar(job: Job) -> Content:
    content: Content = {}
    with tarfile.open(job.output) as archive:
        for member in archive:
            data = archive.extractfile(member).read()
            if member.name.endswith(".json"):
                text = data.decode().replace(job.record.recipe, "recipe")
                content |= {f"{member.name}{key}": value for key, value in _json(text).items()}
            elif data.startswith(b"\x89PNG"):
                content[member.name] = np.array(Image.open(io.BytesIO(data)), dtype=np.int64)
            else:
                content[member.name] = re.sub(r"\b[0-9a-f]{16}\b", "recipe", data.decode())
    return content


def _page(job: Job) -> Content:
    # versions and settings of other stages are shown, and are not what this stage makes
    text = job.output.read_text(encoding="utf-8")
    return {"page": re.sub(r"<pre[^>]*>.*?</pre>", "<pre></pre>", text, flags=re.DOTALL)}


def _folder(job: Job) -> Content:
    return {
        path.relative_to(job.output).as_posix().replace(job.record.recipe, "recipe"): re.sub(
            r"\b[0-9a-f]{16}\b", "recipe", path.read_text(encoding="utf-8")
        )
        for path in job.output.rglob("*.*")
    }


_READERS = {
    ".h5": _arrays,
    ".pth": _weights,
    ".json": lambda job: _json(job.output.read_text(encoding="utf-8")),
    ".tar": _tar,
    ".html": _page,
}


def freeze(stages: list[str]) -> None:
    """Freeze what stages make now."""
    with tempfile.TemporaryDirectory() as folder:
        run = MadeUpRun(Path(folder))
        for stage in stages:
            content = outputs(run, stage, folder=Path(folder, "made"))
            settings = run.plan.of(stage)[0].record.spec["config"]
            write_frozen(stage, Frozen(STAGES[stage].version, settings, content))
            sys.stdout.write(f"{frozen_path(stage)}: version {STAGES[stage].version}\n")


def bumped() -> list[str]:
    """Stages whose version is not the frozen one."""
    return [
        name
        for name, stage in STAGES.items()
        if not frozen_path(name).exists() or read_frozen(name).version != stage.version
    ]


if __name__ == "__main__":
    freeze(sys.argv[1:] or bumped())
