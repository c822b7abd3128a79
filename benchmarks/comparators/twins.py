"""The naive twins of tests/, loaded from where they are."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

TESTS = Path(__file__).parents[2] / "tests"


@lru_cache
def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def twin(path: str, name: str) -> Any:
    """What a test module defines under a name; `path` is relative to tests/."""
    return getattr(_module(path), name)
