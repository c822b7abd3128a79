"""What is generated from the typed config: default YAML, JSON schema and the table of keys.

`python -m irnet_pipe.config.documents` writes them; a test keeps them in step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from irnet_pipe.config.keys import leaves
from irnet_pipe.config.sections import Config
from irnet_pipe.stage_table import readers

HEADER = """\
# Every key with its default: take the # off a line to change it.
# Generated from src/irnet_pipe/config/ by `make generated`.

"""


def is_runtime(field: FieldInfo) -> bool:
    """Whether a key changes no result."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("runtime"))


def default_yaml() -> str:
    """The config with every key commented out, so that presets and later defaults still count."""
    return HEADER + "\n".join(_yaml_lines(Config, 0)) + "\n"


def _yaml_lines(model: type[BaseModel], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"{indent}# {field.description}" if depth else f"\n# {field.description}"
            yield f"{indent}{name}:"
            yield from _yaml_lines(field.annotation, depth + 1)
        else:
            yield f"{indent}# {field.description}"
            yield f"{indent}#{name}: {_scalar(field.default)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    text = yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000
    )
    return text.removesuffix("\n").removesuffix("...").strip()


def schema() -> str:
    """JSON schema of the config."""
    return json.dumps(Config.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def reference() -> str:
    """Markdown table of all keys: default, range, first stages that change, meaning."""
    properties = Config.model_json_schema()
    rows = [
        f"| `{path}` | `{_scalar(field.default)}` | {_bounds(properties, path)} | {_readers(path, field)} "
        f"| {field.description} |"
        for path, field in leaves()
    ]
    return "\n".join(
        [
            "# Keys of the config",
            "",
            "Generated from `src/irnet_pipe/config/` by `make generated`.",
            "A changed key re-runs the stages named and what follows them; *runtime* keys change no result.",
            "",
            "| key | default | range | read by | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _readers(path: str, field: FieldInfo) -> str:
    if is_runtime(field):
        return "*runtime*"
    return ", ".join(readers(path)) or "the plan"


def _bounds(root: dict[str, Any], path: str) -> str:
    node: Any = root
    for key in path.split("."):
        node = _resolve(root, node)["properties"][key]
    return _describe(root, node)


def _resolve(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref") or next((item["$ref"] for item in node.get("allOf", ())), None)
    return root["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def _describe(root: dict[str, Any], node: dict[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_describe(root, option) for option in node["anyOf"])
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return ", ".join(map(str, node["enum"]))
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    kind = {"null": "none", "array": "list"}.get(node.get("type", ""), node.get("type", ""))
    bounds = [f"≥ {low}"] * (low is not None) + [f"> {above}"] * (above is not None)
    bounds += [f"≤ {high}"] * (high is not None) + [f"< {below}"] * (below is not None)
    return " ".join([kind, *bounds])


GENERATED = {"config.yaml": default_yaml, "schema.json": schema, "README.md": reference}
"""File below config/ → its text."""


def main() -> int:
    """Write the generated files below config/."""
    for name, render in GENERATED.items():
        Path("config", name).write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
