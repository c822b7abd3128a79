"""The site of the documentation, and its notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from irnet_pipe.cli.stages import STAGE_VERBS

ROOT = Path(__file__).parents[2]
MADE_PAGES = {
    "index.md",
    "contributing.md",
    "changelog.md",
    "reference/config.md",
    "notebooks/artifacts.md",
}


def pages_of(nav: list | dict | str) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    return set().union(*map(pages_of, nav.values() if isinstance(nav, dict) else nav))


def test_every_page_has_its_place_and_every_place_its_page():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages_of(nav) == docs | MADE_PAGES


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert all(f'id="{verb}"' in text["cli.html"] for verb in ("init", "plan"))
    assert all(stage in text["cli.html"] for stage in STAGE_VERBS)
    assert "random_walk.beta" in text["config.html"]
    assert "exp_times" in text["python.html"]
    for name, page in text.items():
        assert "https://fonts." not in page, name
        assert 'href="../config/README.md' not in page, name


@pytest.mark.slow
def test_notebook_runs_in_the_folder_of_a_run(project, tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    project.values["shards"]["n"] = 1
    project.values["export"]["variants"] = ["full"]
    project.run()
    path = ROOT / "docs" / "notebooks" / "artifacts.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(project.folder)}}
    )
    client.execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "greatest difference" in printed
    shares = [float(line.split()[-1].rstrip("%")) for line in printed.splitlines() if " steps: " in line]
    assert len(shares) == 5
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert "image/png" in pictures[-1]["data"]
