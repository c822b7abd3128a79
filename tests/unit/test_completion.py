"""Completion: the scripts are made, shells accept them, and bash completes by them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from irnet_pipe.cli.completion import SHELLS
from irnet_pipe.cli.main import main

COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_irnet_pipe
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path, capsys):
    def make(shell: str) -> str:
        assert main(["completion", shell]) == 0
        path = tmp_path / f"irnet-pipe.{shell}"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        return str(path)

    return make


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_accept_their_script(shell, script):
    path = script(shell)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["irnet-pipe", "val"], {"validate"}),
        (["irnet-pipe", "export"], {"export", "export_masks", "export-model"}),
        (["irnet-pipe", "status", "--j"], {"--json"}),
        (["irnet-pipe", "completion", "f"], {"fish"}),
        (["irnet-pipe", "validate", "--config", "my"], {"my.yaml"}),
    ],
)
def test_bash_completes(words, found, script, tmp_path):
    (tmp_path / "my.yaml").touch()
    command = ["bash", "-c", COMPLETE, "bash", script("bash"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(done.stdout.split()) == found
