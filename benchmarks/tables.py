"""The table of all rows, as Markdown and as JSON, with the machine it was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.paired import Measurement, Row, Setting

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "numba", "h5py", "pillow", "pydensecrf2", "pycocotools")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = (
    "| row | beside | seconds | theirs | ratio (quartiles) | least of a case | peak MB | theirs | agreement |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Outcome:
    """A row and what came of it: a measurement, or the reason why there is none.

    Attributes:
        row: of the table.
        measurement: None if there is none.
        failure: what went wrong.
        missing: what the machine has not that the row needs.
    """

    row: Row
    measurement: Measurement | None
    failure: str = ""
    missing: str = ""


def table_line(outcome: Outcome) -> str:
    """A line of the Markdown table."""
    row, measured = outcome.row, outcome.measurement
    name = f"`{row.name}`: {row.title}"
    if outcome.missing:
        return f"| {name} | {row.comparator} | | | not measured | | | | {outcome.missing} |"
    if measured is None:
        return f"| {name} | {row.comparator} | | | **failed** | | | | {outcome.failure} |"
    ours, theirs = measured.seconds
    low, middle, high = measured.quartiles
    cells = [
        name,
        row.comparator,
        f"{ours:.3g}",
        f"{theirs:.3g}",
        f"**{middle:.3g}** ({low:.3g}–{high:.3g})",
        f"{measured.least_ratio:.3g}",
        _megabytes(measured.ours_bytes),
        _megabytes(measured.theirs_bytes),
        measured.agreement,
    ]
    return f"| {' | '.join(cells)} |"


def _megabytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:.1f}"


def as_markdown(outcomes: list[Outcome], setting: Setting, machine: dict[str, Any]) -> str:
    """The table, and what it was measured with."""
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    source = "of a folder" if setting.photos else "of the generator"
    facts = (
        f"Measured {machine['date']} at commit {machine['commit']}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB; {machine['system']}; Python {machine['python']}; {packages}. "
        f"Size {setting.size}, {setting.pairs} pairs, photos {source}. "
        f"Load of the machine {machine['load_before']} before and {machine['load_after']} after."
    )
    return "\n".join([facts, "", HEAD, *map(table_line, outcomes)])


def as_json(outcomes: list[Outcome], setting: Setting, machine: dict[str, Any]) -> dict[str, Any]:
    """All figures, those of each pair and case too."""
    rows = []
    for outcome in outcomes:
        row, measured = outcome.row, outcome.measurement
        facts: dict[str, Any] = {
            "row": row.name,
            "title": row.title,
            "comparator": row.comparator,
            "threads": row.threads,
        }
        if outcome.missing:
            rows.append(facts | {"not_measured": outcome.missing})
            continue
        if measured is None:
            rows.append(facts | {"failure": outcome.failure})
            continue
        low, middle, high = measured.quartiles
        facts |= {
            "seconds": dict(zip(("ours", "theirs"), measured.seconds, strict=True)),
            "ratio": {"median": middle, "quartiles": [low, high], "pairs": measured.ratios},
            "least_ratio_of_a_case": measured.least_ratio,
            "peak_bytes": {"ours": measured.ours_bytes, "theirs": measured.theirs_bytes},
            "agreement": measured.agreement,
            "wall_seconds": {"ours": measured.ours, "theirs": measured.theirs},
            "cpu_seconds": {"ours": measured.ours_cpu, "theirs": measured.theirs_cpu},
        }
        rows.append(facts)
    return {"machine": machine, "size": setting.size, "pairs": setting.pairs, "rows": rows}


def put_into(page: Path, table: str) -> None:
    """Write the table between the two marks of a page, or as a page of its own where there is none."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(
            f"{page}: needs one line {BEGIN} and one line {END}; put them where the table belongs"
        )
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def describe_machine() -> dict[str, Any]:
    """Processor, memory, versions and commit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": _versions(),
    }


def load() -> str:
    """Processes that wished to run in the last minute, on average."""
    return f"{os.getloadavg()[0]:.1f}"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
