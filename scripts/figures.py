"""Measured figures: kept as docs/figures.json, shown as docs/figures.md.

A figure has a name, a value, a unit, what it should be (a bound), and says who measured it. A new
measurement replaces the old one of the same name; figures that a run did not measure stay.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "docs" / "figures.json"
PAGE = ROOT / "docs" / "figures.md"

HEAD = """# Figures

<!-- Generated from figures.json by `make soak`. Do not edit. -->

Measured by `make soak`; each row names the test that measured it, the machine it ran on and the day (UTC).
What the names mean is told by the tests; a figure outside of its bound fails the run.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `at_most` or `at_least` is the bound it must keep, in its own unit."""

    name: str
    value: float
    unit: str
    measured_by: str
    """Node id of the test."""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the value is within its bound."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


def machine() -> str:
    """Say in a few words what the figures were measured on."""
    return f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def merge(known: Mapping[str, Any], figures: Iterable[Figure], where: str) -> dict[str, Any]:
    """Return the document with these figures in it, sorted by name."""
    fresh = {figure.name: dataclasses.asdict(figure) | {"machine": where} for figure in figures}
    return dict(sorted((dict(known) | fresh).items()))


def load(path: Path = DATA) -> dict[str, Any]:
    """Return the figures on file, none if there is no file yet."""
    if not path.exists():
        return {}
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def save(document: Mapping[str, Any], path: Path = DATA) -> None:
    """Replace the file in one step."""
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def render(document: Mapping[str, Any]) -> str:
    """Return the page of a document."""
    rows = ["| figure | value | bound | measured by | machine and day |", "|---|---|---|---|---|"]
    for row in document.values():
        cells = (row["name"], f"{row['value']:g} {row['unit']}", _bound(row), f"`{row['measured_by']}`", row["machine"])
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([HEAD, *rows, ""])


def _bound(row: Mapping[str, Any]) -> str:
    parts = []
    if row["at_least"] is not None:
        parts.append(f"at least {row['at_least']:g}")
    if row["at_most"] is not None:
        parts.append(f"at most {row['at_most']:g}")
    return ", ".join(parts) or "none"


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(load()), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
