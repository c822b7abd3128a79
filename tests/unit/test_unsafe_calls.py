"""No code of ours unpickles, runs text as code or as a shell command, or unpacks archives unchecked."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("src", "tests", "docs") for path in (ROOT / folder).rglob("*.py"))

MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
HARMLESS = {("pickle", "UnpicklingError")}
CALLS = {
    *("eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *(
        "yaml.load",
        "yaml.load_all",
        "yaml.unsafe_load",
        "yaml.full_load",
        "pandas.read_pickle",
        "torch.hub.load",
    ),
}
REQUIRED = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
UNPACKING = {"extract", "extractall"}
FORBIDDEN = {"shell": False, "allow_pickle": False, "weights_only": True}
"""Keyword → the one value that it may have, whatever is called."""


def unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every unsafe import or call."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in MODULES:
                    yield node.lineno, alias.name
                if alias.asname:
                    names[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module or "").partition(".")[0] in MODULES and (
                    node.module,
                    alias.name,
                ) not in HARMLESS:
                    yield node.lineno, f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, problem) for problem in unsafe_call(node, names))


def unsafe_call(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    name = dotted(call.func)
    head, dot, tail = name.partition(".")
    name = names.get(head, head) + dot + tail
    given = {keyword.arg: getattr(keyword.value, "value", ...) for keyword in call.keywords}
    if name in CALLS:
        yield name
    if name in REQUIRED and given.get(REQUIRED[name][0], ...) is not REQUIRED[name][1]:
        yield f"{name} without {REQUIRED[name][0]}"
    for keyword, value in FORBIDDEN.items():
        if given.get(keyword, value) is not value:
            yield f"{keyword} other than {value}"
    if isinstance(call.func, ast.Attribute) and call.func.attr in UNPACKING:
        yield f"{call.func.attr} instead of unpack_member"


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.memory as m",
        "from pickle import loads",
        "from marshal import loads",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=flag)",
        "from torch import load as l\nl(p)",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "from numpy import load\nload(p)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "eval('1')",
        "exec(code)",
        "os.system('ls')",
        "from os import system\nsystem('ls')",
        "subprocess.run('ls', shell=True)",
        "run(c, shell=flag)",
        "tar.extractall(to, filter='data')",
        "open_tar().extract(member, to)",
        "read(p, allow_pickle=True)",
    ],
)
def test_the_scan_finds(code):
    assert list(unsafe(ast.parse(code)))


def test_the_scan_passes_what_is_safe():
    code = """
import numpy as np
from pickle import UnpicklingError
model.eval()
np.load(p, allow_pickle=False)
torch.load(p, map_location="cpu", weights_only=True)
yaml.safe_load(text)
subprocess.run(["ls", folder], check=True)
unpack_member(tar, member, to)
"""
    assert not list(unsafe(ast.parse(code)))


def test_nothing_unsafe_in_python():
    found = {path: list(unsafe(ast.parse(path.read_text(encoding="utf-8")))) for path in SOURCES}
    assert {path: problems for path, problems in found.items() if problems} == {}
    assert len(found) > 100


def test_nothing_unsafe_in_the_workflow(tmp_path):
    """The rules as the Python that snakemake makes of them."""
    sources = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
    (tmp_path / "Snakefile").write_text("\n".join(path.read_text(encoding="utf-8") for path in sources))
    command = [sys.executable, "-m", "snakemake", "--print-compilation"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "def stage_command" in done.stdout
    assert not list(unsafe(ast.parse(done.stdout)))
