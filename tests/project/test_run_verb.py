"""`run`: Snakemake's command line and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from irnet_pipe.cli.main import main
from irnet_pipe.cli.project import snakemake_words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], True),
        (["--dry-run", "-q"], True),
        (["--config", "a=1"], True),
        (["--cores", "3"], False),
        (["--cores=3"], False),
        (["-c3"], False),
        (["-j", "3"], False),
        (["--profile", "profiles/slurm"], False),
    ],
)
def test_all_cores_unless_told_otherwise(
    words: list[str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert snakemake_words(words) == (["--cores", "all", *words] if told else words)


@pytest.mark.parametrize(("value", "told"), [("1", True), ("", False)])
def test_no_color_is_handed_on(value: str, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    assert ("--nocolor" in snakemake_words([])) == told


def test_without_snakefile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--dry-run"]) == 2
    assert "has no Snakefile; change into a folder that irnet-pipe init has made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "code"), [("pass", 0), ("import sys; sys.exit(7)", 7), ("raise KeyboardInterrupt", 130)]
)
def test_options_and_exit_code_pass_through(tmp_path: Path, body: str, code: int) -> None:
    """A module `snakemake` in the current folder stands in for Snakemake."""
    (tmp_path / "Snakefile").touch()
    (tmp_path / "snakemake.py").write_text(f"import sys\nprint(sys.argv[1:])\n{body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "irnet_pipe", "run", "--dry-run", "-q", "--", "target"],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "['--cores', 'all', '--dry-run', '-q'" in done.stdout
    assert "'target']" in done.stdout
