"""Faults of the machine and of places."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.error import URLError

import pytest
import torch
from fault import Fault, Project, configured, held_to_permissions, small_files

from irnet_pipe.config import load_config
from irnet_pipe.workflow import plan_for

INDEX = ("index_dataset", "--config", "my.yaml")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Within the block a folder lies on a disk of so many bytes."""
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def planned(project: Project) -> None:
    """An earlier run has been planned; now another one is, whose first record is RECIPE."""
    project.artifact("train_cam")
    project.config({"seed": 1})
    project.hold("RECIPE", plan_for(load_config(Path("my.yaml"))).plan.artifacts[0].recipe)


def full_disk(project: Project) -> None:
    results = project.folder / "results"
    project.conditions.enter_context(small_disk(results, 400_000))
    planned(project)
    with (results / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def limited(project: Project) -> None:
    planned(project)
    project.conditions.enter_context(small_files(100))


def read_only(project: Project) -> None:
    planned(project)
    recipes = project.folder / "results/recipes"
    recipes.chmod(0o555)
    project.conditions.callback(recipes.chmod, 0o755)
    project.conditions.enter_context(held_to_permissions())


def patched(name: str, **options: object) -> Callable[[Project], object]:
    return lambda project: project.conditions.enter_context(patch(name, **options))  # type: ignore[call-overload]


def offline(project: Project) -> None:
    project.config({"cam": {"weights": "IMAGENET1K_V1"}})
    patched("torchvision.models._api.load_state_dict_from_url", side_effect=URLError("no network"))(project)


def no_leases(project: Project) -> None:
    artifact = project.artifact("infer_cam")
    project.hold("RECORD", f"results/recipes/{artifact.recipe}.json")
    variables = {"IRNET_PIPE_LEASES": "my.yaml", "CUDA_VISIBLE_DEVICES": "GPU-a"}
    project.conditions.enter_context(patch.dict(os.environ, variables))


FAULTS = [
    Fault(
        "a full disk",
        full_disk,
        "results/recipes/RECIPE.json: No space left on device; free disk space, then run again; what is finished "
        "is kept",
        words=INDEX,
    ),
    Fault(
        "a limit of the size of files",
        limited,
        "results/recipes/RECIPE.json: File too large; raise the limit of file sizes (ulimit -f), or use another file "
        "system",
        words=INDEX,
    ),
    Fault(
        "results that may not be written to",
        read_only,
        "results/recipes/RECIPE.json: Permission denied; check owner and permissions of the file and its folder",
        words=INDEX,
    ),
    Fault(
        "a file in the place of results",
        configured(runtime={"results": "my.yaml"}),
        "my.yaml/index: Not a directory; a file lies where a folder is needed: move it, or set runtime.results and "
        "runtime.outputs anew",
    ),
    Fault(
        "a disk that is too small for the run",
        patched("irnet_pipe.resources.disk_free", return_value=1000),
        "results: a run needs about 0.4 GiB, 0.0 GiB are free; free some, set runtime.results to another "
        "disk, or label fewer images",
    ),
    Fault(
        "no memory",
        patched("irnet_pipe.index.find_photos", side_effect=MemoryError("Unable to allocate 9.31 GiB")),
        "memory ran out (Unable to allocate 9.31 GiB); give the job more memory, or run fewer at once",
    ),
    Fault(
        "a GPU that is not there",
        lambda project: (
            project.config({"runtime": {"device": "cuda:99"}}),
            project.hold("GPUS", torch.cuda.device_count()),
        ),
        "runtime.device: 'cuda:99', but torch sees GPUS CUDA devices; set auto or cpu, or check the driver "
        "(nvidia-smi) and CUDA_VISIBLE_DEVICES",
    ),
    Fault(
        "a folder of leases that is a file",
        no_leases,
        "my.yaml/GPU-a.lock: cannot be locked (Not a directory); set IRNET_PIPE_LEASES to a folder on a "
        "local disk that all jobs of this machine may write to, or runtime.device: cpu",
        words=("infer_cam", "--recipe", "RECORD", "--output", "x.h5", "--root", "photos"),
    ),
    Fault(
        "no network",
        offline,
        "cam.weights: IMAGENET1K_V1: cannot download https://download.pytorch.org/models/resnet18-f37072fd.pth "
        "(<urlopen error no network>); fetch this file on a machine with network and give its path in place of "
        "the name",
    ),
    Fault(
        "a new folder within that of the photos",
        configured(),
        "FOLDER/photos/run: lies in the folder of the photos, which is not written to; give --to another",
        words=("init", "photos", "--to", "photos/run"),
    ),
    Fault(
        "a new folder in the place of another",
        lambda project: project.write("photos-irnet/thesis.txt", "three years"),
        "FOLDER/photos-irnet: exists and was not made by irnet-pipe init; give --to another folder, or remove it",
        words=("init", "photos"),
    ),
    Fault(
        "a run where there is no Snakefile",
        configured(),
        "FOLDER: has no Snakefile; change into a folder that irnet-pipe init has made",
        words=("run", "--dry-run"),
    ),
    Fault(
        "removal while snakemake runs",
        lambda project: project.write(".snakemake/locks/0.input.lock", ""),
        "FOLDER/.snakemake/locks: snakemake runs in this folder, nothing is removed; wait until it ends "
        "(if it was killed, `snakemake --unlock` removes the lock)",
        words=("gc", "--yes", "--config", "my.yaml"),
    ),
]
