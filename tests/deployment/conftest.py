"""A published run with both segmenters, which have learnt nothing, and photos of many kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from deployment_run import CLASSES, Halves, Ramp, Verb, publish_network, write_photo

from irnet_pipe.cli.main import main
from irnet_pipe.deployment.trained import TrainedSegmenter


@pytest.fixture(scope="session")
def published_run(tmp_path_factory) -> Path:
    """Folder of the run. Read only: copy it to change it."""
    run = tmp_path_factory.mktemp("outputs") / "my run"
    for kind in ("maskrcnn", "deeplab"):
        publish_network(run, kind, classes=CLASSES)
    (run / "recipe-0123456789abcdef.json").write_text("{}", encoding="utf-8")
    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Photos in two folders, two of one name. Read only."""
    folder = tmp_path_factory.mktemp("my photos")
    rng = np.random.default_rng(3)
    write_photo(folder / "site 1" / "ä b.png", rng)
    write_photo(folder / "site 2" / "ä b.png", rng, size=(56, 40))
    write_photo(folder / "100% turned.jpg", rng, size=(40, 64), orientation=6)
    write_photo(folder / "grey.PNG", rng, mode="L")
    write_photo(folder / "seen through.png", rng, mode="RGBA")
    (folder / "notes.txt").write_text("no photo", encoding="utf-8")
    return folder


@pytest.fixture
def stand_ins(monkeypatch) -> None:
    """Networks of no weights, which are there at once, in place of those of the run."""
    monkeypatch.setattr(TrainedSegmenter, "load_mask_rcnn", lambda self: Halves())
    monkeypatch.setattr(TrainedSegmenter, "load_deeplab", lambda self: Ramp())


@pytest.fixture
def verb(capsys) -> Verb:
    """Run a command line in this process: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run
